"""How near to real frames a drawing can come that knows the sentences alone: python benchmarks/untold.py [--stories N]

Each of N validation stories is rendered several times, camera, lights and turns drawn anew. The mean of all renders is
the best that a squared error can wish for, and their variance what is left of it: PSNR over values in [0, 255], of
whole frames and of the pixels that show an object. Needs Blender (`make render-env`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from storygan.data.clevr.blender import Blender
from storygan.data.clevr.render import FIRST
from storygan.data.clevr.scene import Scene, sample_scene

RENDERS = 4
SIZE = 64


def other_untold(scene: Scene, seed: int) -> Scene:
    """The same objects, with camera, lights and turns of another story."""
    other = sample_scene(seed, 0)
    names = ("rotations", "camera", "key", "fill", "back")
    return replace(scene, **{name: getattr(other, name) for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=30)
    arguments = parser.parse_args()
    left, shown = [], []  # (N, T, 64, 64): what no drawing can know, and whether the pixel shows an object
    with Blender(SIZE) as blender:
        for number in range(arguments.stories):
            scene = sample_scene(1, FIRST["validation"] + number)
            scenes = [other_untold(scene, RENDERS * number + k) for k in range(RENDERS)]
            renders = np.stack([blender.render(one, k) for k, one in enumerate(scenes)]).astype(float)
            left.append(renders.var(0, ddof=1).mean(-1))
            rows, columns = ((np.arange(SIZE) + 0.5) * n / SIZE for n in scenes[0].mask().shape)
            masks = np.stack([one.mask()[rows.astype(int)][:, columns.astype(int)] for one in scenes])
            shown.append([((masks >= 0) & (masks <= t)).any(0) for t in range(renders.shape[1])])
    variance, objects = np.array(left), np.array(shown)
    print(f"{arguments.stories} stories, {RENDERS} renders each")
    for t in range(variance.shape[1]):
        whole, of_objects = variance[:, t].mean(), variance[:, t][objects[:, t]].mean()
        psnr = [10 * np.log10(255**2 / value) for value in (whole, of_objects)]
        print(f"frame {t + 1}: whole {psnr[0]:.1f} dB, objects {psnr[1]:.1f} dB")


if __name__ == "__main__":
    main()
