"""The CLEVR-SV camera, and ray casting of the object that each pixel shows.

Scene coordinates have z up and the floor at z = 0. Image coordinates are fractions of width and height, x right and y
down, in [0, 1] inside the image. They are the same for the original 320x240 frames and for the square ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.clevr.constants import ASPECT, CAMERA, FOCAL, SENSOR

ZOOM = FOCAL / SENSOR
WIDTH, HEIGHT = 320, 240  # pixels of the original frames


class Camera:
    """The camera at CAMERA + jitter (scene units in x, y, z), looking at the origin.

    Attributes:
        position: (3,).
        axes: (3, 3), rows are the directions right, up and forward.
    """

    def __init__(self, jitter: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.position = np.add(CAMERA, jitter)
        forward = -self.position / np.linalg.norm(self.position)
        right = np.array([forward[1], -forward[0], 0.0]) / np.hypot(forward[0], forward[1])
        self.axes = np.stack([right, np.cross(right, forward), forward])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (..., 3) in front of the camera to image coordinates (..., 2)."""
        x, y, depth = ((points - self.position) @ axis for axis in self.axes)
        return np.stack([0.5 + ZOOM * x / depth, 0.5 - ZOOM * ASPECT * y / depth], -1)

    def rays(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return ray directions (3, rows, columns) through image x (columns,) and y (rows,), of depth 1."""
        right, up, forward = self.axes[:, :, None, None]
        return forward + right * (x - 0.5) / ZOOM + up * (0.5 - y)[:, None] / (ZOOM * ASPECT)

    def floor(self, image: np.ndarray) -> np.ndarray:
        """Unproject image coordinates (..., 2) to x and y (..., 2) on the floor, z = 0."""
        right, up = (image[..., 0] - 0.5) / ZOOM, (0.5 - image[..., 1]) / (ZOOM * ASPECT)
        ray = self.axes[2] + right[..., None] * self.axes[0] + up[..., None] * self.axes[1]
        return self.position[:2] - ray[..., :2] * (self.position[2] / ray[..., 2:])


def object_mask(
    shapes: Sequence[str], centres: np.ndarray, radii: Sequence[float], rotations: Sequence[float], camera: Camera
) -> np.ndarray:
    """Return the index of the nearest object at each pixel, -1 where there is none: (240, 320) int8.

    Args:
        shapes: N of cube, sphere, cylinder.
        centres: (N, 3), scene units.
        radii: N half sizes, scene units.
        rotations: N angles about z, radians.
        camera: the camera of the story.
    """
    mask = np.full((HEIGHT, WIDTH), -1, np.int8)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT
    for index, (shape, centre, radius, angle) in enumerate(zip(shapes, centres, radii, rotations, strict=True)):
        rows, columns = window = _window(centre, radius, camera)
        c, s = np.cos(angle), np.sin(angle)
        to_object = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) / radius  # scene -> coordinates of the unit solid
        rays = np.tensordot(to_object, camera.rays(x[columns], y[rows]), 1)
        depth = _INTERSECT[shape](to_object @ (camera.position - centre), rays)
        closer = depth < nearest[window]
        nearest[window] = np.where(closer, depth, nearest[window])
        mask[window] = np.where(closer, index, mask[window])
    return mask


def visible_pixels(mask: np.ndarray, count: int) -> np.ndarray:
    """Count the visible pixels of each of `count` objects in a mask: (count,)."""
    return np.bincount(mask[mask >= 0], minlength=count)


_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (2**0.5, 2**0.5, 1)


def _window(centre: np.ndarray, radius: float, camera: Camera) -> tuple[slice, slice]:
    """Return rows and columns that contain a solid under any rotation."""
    corners = camera.project(centre + radius * _CORNERS) * (WIDTH, HEIGHT)
    (left, top), (right, bottom) = np.floor(corners.min(0)).clip(0), np.ceil(corners.max(0)).clip(0)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


# Each takes ray origin o (3,) and directions d (3, rows, columns) in the coordinates of a unit solid, and returns where
# the rays enter the solid, in units of d: (rows, columns), infinite where they miss it.


def _cube(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    (x_in, x_out), (y_in, y_out), (z_in, z_out) = (_slab(o[k], d[k]) for k in range(3))
    return _entry(np.maximum(np.maximum(x_in, y_in), z_in), np.minimum(np.minimum(x_out, y_out), z_out))


def _cylinder(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    (side_in, side_out), (end_in, end_out) = _ball(o[:2], d[:2]), _slab(o[2], d[2])
    return _entry(np.maximum(side_in, end_in), np.minimum(side_out, end_out))


_INTERSECT = {"cube": _cube, "sphere": lambda o, d: _entry(*_ball(o, d)), "cylinder": _cylinder}


def _entry(enter: np.ndarray, leave: np.ndarray) -> np.ndarray:
    return np.where((enter < leave) & (leave > 0), enter, np.inf)  # NaN, a miss, compares false


def _slab(o: float, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays enter and leave -1 <= value <= 1 along one axis."""
    with np.errstate(divide="ignore"):
        a, b = (-1 - o) / d, (1 - o) / d
    return np.minimum(a, b), np.maximum(a, b)


def _ball(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays enter and leave the unit ball of o's dimensions (2: a round column); NaN where they miss."""
    a, b, c = (d * d).sum(0), np.tensordot(o, d, 1), o @ o - 1
    with np.errstate(invalid="ignore"):
        root = np.sqrt(b * b - a * c)
    return (-b - root) / a, (-b + root) / a
