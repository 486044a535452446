"""Convert nuisance variables to standard normal values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist

import numpy as np

EPSILON = 1e-6
"""Uniform values are clipped to EPSILON and 1 - EPSILON, so standard normal values lie within +-4.8."""


def normal_values(uniform: Iterable[float]) -> list[float]:
    """Convert uniform values in [0, 1] to standard normal ones, single precision, by the inverse CDF."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(min(max(u, EPSILON), 1 - EPSILON)) for u in uniform], np.float32).tolist()


def choice_values(choices: Sequence[int], counts: Sequence[int], rng: np.random.Generator) -> list[float]:
    """Convert choices k of n, equally likely each, to standard normal values: the inverse CDF of (k + u) / n."""
    return normal_values((k + rng.random()) / n for k, n in zip(choices, counts, strict=True))
