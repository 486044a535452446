"""Which object each pixel of a CLEVR-SV scene shows, by casting one ray a pixel; NumPy alone, no Blender.

Spheres, cubes and cylinders are the ideal solids: the rounded edges of the rendered ones cost a pixel or two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.data.clevr import camera

WIDTH, HEIGHT = 320, 240  # where the original counts pixels


def object_mask(
    shapes: Sequence[str], centres: np.ndarray, radii: Sequence[float], rotations: Sequence[float], jitter: Sequence[float]
) -> np.ndarray:
    """Index of the nearest object of each pixel, -1 where there is none: (240, 320) int8.

    centres (N, 3) in scene units, radii the half sizes, rotations about z in radians, jitter that of the camera.
    """
    mask = np.full((HEIGHT, WIDTH), -1, np.int8)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    eye, _ = camera.axes(jitter)
    for index, (shape, centre, radius, angle) in enumerate(zip(shapes, centres, radii, rotations, strict=True)):
        window = _window(centre, radius, jitter)
        columns, rows = ((np.arange(n)[part] + 0.5) / n for n, part in zip((WIDTH, HEIGHT), window[::-1], strict=True))
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) / radius  # scene -> the unit solid's own frame
        depth = _DEPTH[shape](turn @ (eye - centre), camera.rays(columns, rows, jitter) @ turn.T)
        closer = depth < nearest[window]
        nearest[window] = np.where(closer, depth, nearest[window])
        mask[window] = np.where(closer, index, mask[window])
    return mask


def visible_pixels(mask: np.ndarray, count: int) -> np.ndarray:
    """Pixels that each of `count` objects shows in a mask: (count,)."""
    return np.bincount(mask[mask >= 0], minlength=count)


def _window(centre: np.ndarray, radius: float, jitter: Sequence[float]) -> tuple[slice, slice]:
    """Rows and columns that surely hold all of a solid: the picture's box around its bounding cube's corners."""
    reach = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8).T * radius * (2**0.5, 2**0.5, 1)
    corners, _ = camera.project(centre + reach, jitter)
    low = np.floor(corners.min(0) * (WIDTH, HEIGHT)).astype(int).clip(0)
    high = np.ceil(corners.max(0) * (WIDTH, HEIGHT)).astype(int).clip(0)
    return slice(low[1], min(high[1], HEIGHT)), slice(low[0], min(high[0], WIDTH))


def _slab(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays o + t d enter and leave -1 <= value <= 1."""
    with np.errstate(divide="ignore"):
        a, b = (-1 - o) / d, (1 - o) / d
    return np.minimum(a, b), np.maximum(a, b)


def _first(enter: np.ndarray, leave: np.ndarray) -> np.ndarray:
    return np.where((enter < leave) & (leave > 0), enter, np.inf)


def _round(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave the unit ball of as many dimensions as o has; NaN where they miss it."""
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1
    with np.errstate(invalid="ignore"):
        root = np.sqrt(b * b - a * c)
    return (-b - root) / a, (-b + root) / a


def _cube(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    enter, leave = _slab(o, d)
    return _first(enter.max(-1), leave.min(-1))


def _sphere(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    return _first(*_round(o, d))


def _cylinder(o: np.ndarray, d: np.ndarray) -> np.ndarray:
    (side_in, side_out), (end_in, end_out) = _round(o[:2], d[..., :2]), _slab(o[2], d[..., 2])
    return _first(np.maximum(side_in, end_in), np.minimum(side_out, end_out))  # NaN compares false: a miss


_DEPTH = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder}
