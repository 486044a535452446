"""The CLEVR-SV sentence encoder: the 17 features of a sentence, standardised and projected to 128 dimensions.

Over the scene distribution the attributes are uniform and x/3, y/3 uniform in [-1, 1], so the standardisation is closed
form: a one-hot of k values has mean p = 1/k and standard deviation sqrt(p (1 - p)), a coordinate mean 0 and standard
deviation 1/sqrt(3). (The minimum distance between objects and the visibility rule bend this by a few per cent.)

The projection P (17, 128) has orthonormal rows times sqrt(128/17), such that all dimensions have variance 1, which
random rows would not give. The covariance C of the 17 features is block diagonal (one block per one-hot), and an
orthonormal DCT matrix per block holds its eigenvectors V. P = sqrt(128/17) V H, where H is 17 rows of a 128 x 128
Hadamard matrix over sqrt(128). All entries of H have one magnitude, so diag(P' C P) is trace(C)/17 = 1 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from storygan.text.clevr import COLOURS, LIMIT, MATERIALS, SHAPES, SIZES, ClevrObject, parse_sentence
from storygan.text.encoder import DIM, SentenceEncoder, require_numbers


def hadamard(n: int) -> np.ndarray:
    """Build the n x n matrix of 1 and -1 with orthogonal rows (Sylvester's construction); n is a power of 2."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


_ONE_HOTS = (SHAPES, COLOURS, MATERIALS, SIZES)
N_FEATURES = sum(len(words) for words in _ONE_HOTS) + 2
"""17: one-hots of 3, 8, 2 and 2 values, x and y."""


class ClevrEncoder(SentenceEncoder):
    """Encodes sentences of the CLEVR-SV grammar.

    Args:
        seed: seed of the projection.
    """

    kind = "clevr"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.mean, self.std = _moments()
        self.projection = _projection(seed)

    @classmethod
    def fit(cls, sentences: Sequence[str], cache: Path | None = None) -> Self:
        """Return the encoder, which is the same for all sentences: the scene distribution is known."""
        return cls()

    def encode(self, sentences: Sequence[str], cache: Path | None = None) -> np.ndarray:
        """Encode N sentences as float32 (N, 128). Raise UsageError that names a word outside the grammar."""
        features = np.array([_features(parse_sentence(sentence)) for sentence in sentences]).reshape(-1, N_FEATURES)
        # In float64, so that a vector does not depend on the others in its batch.
        return (((features - self.mean) / self.std) @ self.projection.astype(np.float64)).astype(np.float32)

    def settings(self) -> dict[str, int | float | str]:
        return {"seed": self.seed}

    def tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "std": self.std, "projection": self.projection}

    @classmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        encoder = cls.__new__(cls)
        encoder.seed = int(settings["seed"])
        encoder.mean, encoder.std, encoder.projection = (tensors[name] for name in ("mean", "std", "projection"))
        shapes = (encoder.mean.shape, encoder.std.shape, encoder.projection.shape)
        if shapes != ((N_FEATURES,), (N_FEATURES,), (N_FEATURES, DIM)):
            raise ValueError(f"mean, std and projection have shapes {shapes}")
        require_numbers(encoder.mean, encoder.std, encoder.projection)
        if encoder.std.min() < 1e-6:
            raise ValueError("a standard deviation is 0")
        return encoder


def _features(thing: ClevrObject) -> list[float]:
    """Return the 17 features: one-hots of shape, colour, material, size, then x/3 and y/3 in [-1, 1]."""
    words = (thing.shape, thing.colour, thing.material, thing.size)
    one_hots = [float(word == option) for word, options in zip(words, _ONE_HOTS, strict=True) for option in options]
    return [*one_hots, thing.x / LIMIT, thing.y / LIMIT]


def _moments() -> tuple[np.ndarray, np.ndarray]:
    """Return mean (17,) and standard deviation (17,) of the features over the scene distribution, float32."""
    p = np.array([1 / len(options) for options in _ONE_HOTS for _ in options])
    mean = np.concatenate([p, [0, 0]])
    std = np.concatenate([np.sqrt(p * (1 - p)), [3**-0.5] * 2])
    return mean.astype(np.float32), std.astype(np.float32)


def _projection(seed: int) -> np.ndarray:
    """Build P (17, 128), float32 (module docstring)."""
    eigenvectors = np.zeros((N_FEATURES, N_FEATURES))
    start = 0
    for size in (*map(len, _ONE_HOTS), 2):
        eigenvectors[start : start + size, start : start + size] = _dct(size)
        start += size
    rng = np.random.default_rng(seed)
    rows = rng.choice(DIM, N_FEATURES, replace=False)
    signs = rng.choice([-1.0, 1.0], DIM)
    return (eigenvectors @ hadamard(DIM)[rows] * signs / N_FEATURES**0.5).astype(np.float32)


def _dct(n: int) -> np.ndarray:
    """Build the orthonormal DCT-II matrix (n, n), a basis in columns; the first column is constant."""
    k = np.arange(n)
    basis = np.sqrt(2 / n) * np.cos(np.pi * np.outer(k + 0.5, k) / n)
    basis[:, 0] = n**-0.5
    return basis
