"""Write a tiny folder in the layout of the original CLEVR-SV: python tests/tiny_clevr_sv.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

STORIES, T = 3, 4


def main(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    descriptions = {}
    for story in range(STORIES):
        vector = np.zeros(75)
        for k in range(T):
            one_hots = [np.eye(n)[rng.integers(n)] for n in (3, 8, 2, 2)]  # shape, colour, material, size
            vector[18 * k : 18 * k + 18] = np.concatenate([*one_hots, rng.uniform(-3, 3, 2), [0.7]])
            name = f"CLEVR_new_{story:06d}_{k + 1}.png"
            descriptions[name] = vector.copy()
            pixels = rng.integers(0, 256, (240, 320, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name)
    np.save(folder / "CLEVR_dict.npy", np.array(descriptions, dtype=object), allow_pickle=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
