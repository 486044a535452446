"""What the noise says of what no sentence tells: python benchmarks/coupled.py --data DATA [--model M] [--stories N]

Drawings of rendered CLEVR-SV stories against the real frames, where the noise is any, where its `eps_0` says how camera
and lights strayed, and where its `eps_t` say the cubes' turns too (`coupled_noise`): PSNR of whole frames and of the
pixels of the first object, in the first frame, over values in [0, 255]; then the energy of the first frame's
differences between neighbouring pixels, of that of real frames. One drawing a story, seed 0.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch

from storygan.data.clevr.untold import shown_objects
from storygan.data.dataset import open_split
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN
from storygan.training.coupled_noise import CoupledNoise


def psnr(squared_errors: np.ndarray) -> float:
    """dB, over values in [0, 255]."""
    return 10 * np.log10(255**2 / squared_errors.mean())


def sharpness(frames: np.ndarray) -> float:
    """Mean squared difference of neighbours, across and down, of frames (N, H, W, 3)."""
    return sum(np.square(np.diff(frames, axis=axis)).mean() for axis in (1, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of CLEVR-SV stories that this package rendered")
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--stories", type=int, default=200)
    arguments = parser.parse_args()
    model, dataset = StoryGAN.from_pretrained(arguments.model), open_split(arguments.data, arguments.split)
    n = min(arguments.stories, len(dataset))
    dataset = replace(dataset, story_ids=dataset.story_ids[:n], sentences=dataset.sentences[:n])
    X = dataset.batch(np.arange(n)).astype(np.float32)
    S = torch.from_numpy(model.encode(dataset.sentences))
    noise = Noise.draw(n, model.config, seeded(0))
    coupled = CoupledNoise(dataset, model.config.noise_dim)
    told = coupled.couple(noise, np.arange(n))
    objects, cube = shown_objects(dataset) == 0, coupled.cubes[:, 0, 0].numpy()
    rows = {
        "any noise": noise,
        "camera and lights": Noise(told.eps_0, noise.eps, noise.g_0),
        "and turns": told,
    }
    print("noise: whole frames, first object a cube, another; differences")
    for name, given in rows.items():
        X_hat = model.draw(S, given).astype(np.float32)
        errors = np.square(X_hat - X).mean(-1)
        of_object = [psnr(errors[chosen, 0][objects[chosen]]) for chosen in (cube, ~cube)]
        numbers = " ".join(f"{value:.2f}" for value in (psnr(errors), *of_object))
        print(f"{name}: {numbers} dB; {sharpness(X_hat[:, 0]) / sharpness(X[:, 0]):.2f}")


if __name__ == "__main__":
    main()
