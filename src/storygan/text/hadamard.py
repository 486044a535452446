"""Hadamard matrices: rotations whose entries are all of one size, so they spread variance evenly over dimensions."""

from __future__ import annotations

import numpy as np


def hadamard(n: int) -> np.ndarray:
    """The n x n matrix of 1 and -1 with orthogonal rows (Sylvester's construction); n is a power of 2."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix
