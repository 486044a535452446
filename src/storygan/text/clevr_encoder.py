"""The CLEVR-SV sentence encoder: attributes and position of a sentence as 127 standardised features, in 128 dimensions.

The features are one-hots of shape, colour, material and size (3 + 8 + 2 + 2 values), x/3 and y/3, and a radial basis
code of the position: Gaussian bumps on an 8 x 8 grid of the floor, and on 23 points of each axis. A linear layer can
read a region of the floor from the bumps, but not from x and y. The scene distribution, over which features are
standardised, is taken as uniform: the minimum distance between objects and the visibility rule change it by a few per
cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np

from storygan.text.clevr import COLOURS, LIMIT, MATERIALS, SHAPES, SIZES, ClevrObject, parse_sentence
from storygan.text.encoder import DIM, SentenceEncoder, require_numbers
from storygan.text.free_text import understand

GRID, AXIS = 8, 23
"""Bumps along a side of the grid, and along an axis."""
GRID_WIDTH, AXIS_WIDTH = 0.7, 1.0
"""Standard deviation of a bump, as a multiple of the distance to the next."""
ATTRIBUTE_SCALE = 2.0
"""Standard deviation of the one-hots and of x and y in s_t; that of a bump is 1. They are 17 features of 127."""
_ONE_HOTS = (SHAPES, COLOURS, MATERIALS, SIZES)
N_ATTRIBUTES = sum(len(words) for words in _ONE_HOTS) + 2
"""17: one-hots and x, y. Encoders of version 0.1 have only these features."""
N_FEATURES = N_ATTRIBUTES + GRID**2 + 2 * AXIS


class ClevrEncoder(SentenceEncoder):
    """Encodes sentences of the CLEVR-SV grammar."""

    kind = "clevr"

    def __init__(self) -> None:
        self.mean, self.std = _moments()
        scale = np.where(np.arange(N_FEATURES) < N_ATTRIBUTES, ATTRIBUTE_SCALE, 1.0)
        self.projection = (np.eye(N_FEATURES, DIM) * scale[:, None]).astype(np.float32)

    @classmethod
    def fit(cls, sentences: Sequence[str], cache: Path | None = None) -> Self:
        """Return the encoder, which is the same for all sentences: the scene distribution is known."""
        return cls()

    def encode(self, sentences: Sequence[str], cache: Path | None = None) -> np.ndarray:
        """Encode N sentences as float32 (N, 128). Raise UsageError that names a word outside the grammar."""
        features = _features([parse_sentence(sentence) for sentence in sentences])[:, : len(self.mean)]
        # In float64, so that a vector does not depend on the others in its batch.
        return (((features - self.mean) / self.std) @ self.projection.astype(np.float64)).astype(np.float32)

    def understand(self, story: Sequence[str], before: Sequence[str] = ()) -> list[str]:
        return understand(story, before)

    def settings(self) -> dict[str, int | float | str]:
        return {}

    def tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "std": self.std, "projection": self.projection}

    @classmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        encoder = cls.__new__(cls)
        encoder.mean, encoder.std, encoder.projection = (tensors[name] for name in ("mean", "std", "projection"))
        F = len(encoder.mean)
        shapes = (encoder.mean.shape, encoder.std.shape, encoder.projection.shape)
        if F not in (N_ATTRIBUTES, N_FEATURES) or shapes != ((F,), (F,), (F, DIM)):
            raise ValueError(f"mean, std and projection have shapes {shapes}")
        require_numbers(encoder.mean, encoder.std, encoder.projection)
        if encoder.std.min() < 1e-6:
            raise ValueError("a standard deviation is 0")
        return encoder


def _features(objects: Sequence[ClevrObject]) -> np.ndarray:
    """Return the features (N, 127), float64: one-hots, x/3 and y/3 in [-1, 1], and the position code."""
    words = [(thing.shape, thing.colour, thing.material, thing.size) for thing in objects]
    one_hots = [[float(w == o) for w, options in zip(row, _ONE_HOTS, strict=True) for o in options] for row in words]
    x, y = np.array([(thing.x / LIMIT, thing.y / LIMIT) for thing in objects]).reshape(-1, 2).T
    attributes = np.array(one_hots).reshape(-1, N_ATTRIBUTES - 2)
    return np.concatenate([attributes, x[:, None], y[:, None], _position_code(x, y)], axis=1)


def _position_code(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the bumps (N, 110) at positions x, y (N,) in [-1, 1]: the grid, then both axes."""

    def bumps(values: np.ndarray, n: int, width: float) -> np.ndarray:
        centres, sigma = np.linspace(-1, 1, n), width * 2 / (n - 1)
        return np.exp(-0.5 * ((values[:, None] - centres) / sigma) ** 2)

    grid = bumps(x, GRID, GRID_WIDTH)[:, :, None] * bumps(y, GRID, GRID_WIDTH)[:, None]
    return np.concatenate([grid.reshape(-1, GRID**2), bumps(x, AXIS, AXIS_WIDTH), bumps(y, AXIS, AXIS_WIDTH)], axis=1)


@cache
def _moments() -> tuple[np.ndarray, np.ndarray]:
    """Return mean (127,) and standard deviation (127,) of the features over the scene distribution, float32."""
    p = np.array([1 / len(options) for options in _ONE_HOTS for _ in options])
    x, y = (axis.ravel() for axis in np.meshgrid(*[(np.arange(200) + 0.5) / 100 - 1] * 2, indexing="ij"))
    position = np.concatenate([np.stack([x, y], axis=1), _position_code(x, y)], axis=1)
    mean = np.concatenate([p, position.mean(0)])
    std = np.concatenate([np.sqrt(p * (1 - p)), position.std(0)])
    return mean.astype(np.float32), std.astype(np.float32)
