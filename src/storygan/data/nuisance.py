"""Nuisance variables as standard normal values."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

LEAST = 1e-6
"""Uniform values are clipped to LEAST and 1 - LEAST: a standard normal value is at most 4.8 either way."""


def normal_values(uniform: Iterable[float]) -> list[float]:
    """Turn uniform values in [0, 1] into standard normal ones, single precision, by the inverse distribution."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(min(max(u, LEAST), 1 - LEAST)) for u in uniform], np.float32).tolist()
