"""The CLEVR-SV camera: where a point of the scene falls in the picture, and the ray behind each pixel.

Positions are scene units with z up and the ground at z = 0. Picture coordinates are fractions of the picture, x to the
right and y down, both in [0, 1] inside it: they hold for the original 320x240 frames and for the squares that these
are squeezed to alike. Numbers: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.data.clevr.stage import ASPECT, CAMERA, FOCAL, SENSOR

ZOOM = FOCAL / SENSOR


class Camera:
    """The camera at CAMERA + jitter (scene units in x, y, z), looking at the origin.

    `position` (3,); `axes` (3, 3), one axis a row: right, up, forward.
    """

    def __init__(self, jitter: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.position = np.add(CAMERA, jitter)
        forward = -self.position / np.linalg.norm(self.position)
        right = np.array([forward[1], -forward[0], 0.0]) / np.hypot(forward[0], forward[1])
        self.axes = np.stack([right, np.cross(right, forward), forward])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in front of the camera -> picture coordinates (..., 2)."""
        x, y, depth = ((points - self.position) @ axis for axis in self.axes)
        return np.stack([0.5 + ZOOM * x / depth, 0.5 - ZOOM * ASPECT * y / depth], -1)

    def rays(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Directions (3, rows, columns) through picture coordinates x (columns,) and y (rows,); depth 1 a unit."""
        right, up, forward = self.axes[:, :, None, None]
        return forward + right * (x - 0.5) / ZOOM + up * (0.5 - y)[:, None] / (ZOOM * ASPECT)

    def floor(self, picture: np.ndarray) -> np.ndarray:
        """Picture coordinates (..., 2) of points on the ground -> their x and y (..., 2): project() undone at z = 0."""
        across, up = (picture[..., 0] - 0.5) / ZOOM, (0.5 - picture[..., 1]) / (ZOOM * ASPECT)
        ray = self.axes[2] + across[..., None] * self.axes[0] + up[..., None] * self.axes[1]
        return self.position[:2] - ray[..., :2] * (self.position[2] / ray[..., 2:])
