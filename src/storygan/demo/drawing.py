"""Drawing a story, sample after sample, so that the page can show how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN


@dataclass(frozen=True)
class Drawing:
    """What a visitor sees: the samples so far of one story. All of it follows from model, sentences and noise."""

    model: str
    sentences: tuple[str, ...]
    noise: Noise
    """For all the samples."""
    frames: np.ndarray
    """uint8 (n, T, 64, 64, 3); n grows from 1 to the number of samples."""

    @property
    def done(self) -> bool:
        return len(self.frames) == len(self.noise.eps_0)


def draw(name: str, model: StoryGAN, sentences: Sequence[str], samples: int, seed: int) -> Iterator[Drawing]:
    """The story drawn 1, 2, ... `samples` times, the pictures of `model.generate` with the same seed.

    Raises:
        StoryganError: where the model cannot read the story.
    """
    noise = Noise.draw(samples, model.config, torch.Generator().manual_seed(seed))
    S = torch.from_numpy(model.encode([sentences]))
    frames = np.empty((0, model.config.T, 64, 64, 3), np.uint8)
    for n in range(samples):
        frames = np.concatenate([frames, model.draw(S, noise[n : n + 1])])
        yield Drawing(name, tuple(sentences), noise, frames)
