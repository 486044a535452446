"""The CLEVR-SV camera: where a point of the scene falls in the picture, and the ray behind each pixel.

Positions are scene units with z up and the ground at z = 0. Picture coordinates are fractions of the picture, x to the
right and y down, both in [0, 1] inside it: they hold for the original 320x240 frames and for the squares that these
are squeezed to alike. Numbers: FORMATS.md, CLEVR-SV.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HOME = (7.481, -6.508, 5.344)  # the camera without jitter; it looks at the origin
FOCAL, SENSOR_WIDTH = 35.0, 32.0  # mm
ASPECT = 320 / 240  # width by height of the original frames


def axes(jitter: Sequence[float] = (0, 0, 0)) -> tuple[np.ndarray, np.ndarray]:
    """The camera's position (3,) and its axes (3, 3), one a row: right, up, forward."""
    position = np.add(HOME, jitter)
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    return position, np.stack([right, np.cross(right, forward), forward])


def project(points: np.ndarray, jitter: Sequence[float] = (0, 0, 0)) -> tuple[np.ndarray, np.ndarray]:
    """Points (..., 3) -> picture coordinates (..., 2) and depths (...), the distances along the view."""
    position, basis = axes(jitter)
    x, y, depth = np.moveaxis((np.asarray(points, float) - position) @ basis.T, -1, 0)
    scale = FOCAL / SENSOR_WIDTH / depth
    return np.stack([0.5 + scale * x, 0.5 - scale * ASPECT * y], -1), depth


def rays(columns: np.ndarray, rows: np.ndarray, jitter: Sequence[float] = (0, 0, 0)) -> np.ndarray:
    """Directions (rows, columns, 3) through picture coordinates; one unit along a ray is one unit of depth."""
    _, basis = axes(jitter)
    x = (np.asarray(columns) - 0.5) * SENSOR_WIDTH / FOCAL
    y = (0.5 - np.asarray(rows)) * SENSOR_WIDTH / FOCAL / ASPECT
    return basis[2] + x[None, :, None] * basis[0] + y[:, None, None] * basis[1]
