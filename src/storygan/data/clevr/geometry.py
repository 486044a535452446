"""The CLEVR-SV camera: where a point of the scene falls in the picture, and the ray behind each pixel.

Positions are scene units with z up and the ground at z = 0. Picture coordinates are fractions of the picture, x to the
right and y down, both in [0, 1] inside it: they hold for the original 320x240 frames and for the squares that these
are squeezed to alike. Numbers: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.data.clevr.constants import ASPECT, CAMERA, FOCAL, SENSOR

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


WIDTH, HEIGHT = 320, 240  # where the original counts pixels


def object_mask(
    shapes: Sequence[str], centres: np.ndarray, radii: Sequence[float], rotations: Sequence[float], camera: Camera
) -> np.ndarray:
    """Index of the nearest object of each pixel, -1 where there is none: (240, 320) int8.

    N shapes, centres (N, 3) in scene units, radii the half sizes, rotations about z in radians.
    """
    mask = np.full((HEIGHT, WIDTH), -1, np.int8)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT
    for index, (shape, centre, radius, angle) in enumerate(zip(shapes, centres, radii, rotations, strict=True)):
        rows, columns = window = _window(centre, radius, camera)
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) / radius  # scene -> the unit solid's own frame
        rays = np.tensordot(turn, camera.rays(x[columns], y[rows]), 1)
        depth = _DEPTH[shape](turn @ (camera.position - centre), rays)
        closer = depth < nearest[window]
        nearest[window] = np.where(closer, depth, nearest[window])
        mask[window] = np.where(closer, index, mask[window])
    return mask


def visible_pixels(mask: np.ndarray, count: int) -> np.ndarray:
    """Pixels that each of `count` objects shows in a mask: (count,)."""
    return np.bincount(mask[mask >= 0], minlength=count)


_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (2**0.5, 2**0.5, 1)


def _window(centre: np.ndarray, radius: float, camera: Camera) -> tuple[slice, slice]:
    """Rows and columns that surely hold all of a solid, however it is turned."""
    corners = camera.project(centre + radius * _CORNERS) * (WIDTH, HEIGHT)
    (left, top), (right, bottom) = np.floor(corners.min(0)).clip(0), np.ceil(corners.max(0)).clip(0)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


# Each of these takes a unit solid's own frame: a ray's origin o (3,) and directions d (3, rows, columns). They give
# where the rays enter the solid, in units of d: (rows, columns), infinite where they miss it.


def _cube(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    (x_in, x_out), (y_in, y_out), (z_in, z_out) = (_slab(o[k], d[k]) for k in range(3))
    return _entry(np.maximum(np.maximum(x_in, y_in), z_in), np.minimum(np.minimum(x_out, y_out), z_out))


def _sphere(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    return _entry(*_ball(o, d))


def _cylinder(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    (side_in, side_out), (end_in, end_out) = _ball(o[:2], d[:2]), _slab(o[2], d[2])
    return _entry(np.maximum(side_in, end_in), np.minimum(side_out, end_out))


_DEPTH = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder}


def _entry(enter: np.ndarray, leave: np.ndarray) -> np.ndarray:
    return np.where((enter < leave) & (leave > 0), enter, np.inf)  # NaN, a miss, compares false


def _slab(o: float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a ray enters and leaves -1 <= value <= 1 along one axis."""
    with np.errstate(divide="ignore"):
        a, b = (-1 - o) / d, (1 - o) / d
    return np.minimum(a, b), np.maximum(a, b)


def _ball(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a ray enters and leaves the unit ball of o's dimensions (2: a round column); NaN where it misses."""
    a, b, c = (d * d).sum(0), np.tensordot(o, d, 1), o @ o - 1
    with np.errstate(invalid="ignore"):
        root = np.sqrt(b * b - a * c)
    return (-b - root) / a, (-b + root) / a
