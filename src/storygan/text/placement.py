"""Places on the floor of CLEVR-SV: which are free, and the free one that is nearest to a wish.

Floor directions are those of the camera without jitter: RIGHT and BEHIND. The rules of free places are CLEVR's, by
which scenes are sampled: objects are GAP apart, left and right or front and back are clear, and none is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import hypot

import numpy as np

from storygan.clevr.constants import RADII
from storygan.clevr.geometry import Camera, object_mask, visible_pixels
from storygan.text.clevr import LIMIT, ClevrObject

RIGHT, BEHIND = (0.656, 0.754), (-0.754, 0.656)  # floor directions, as seen by the camera without jitter
GAP = 0.25  # smallest distance between two outlines
MARGIN = 0.4  # along RIGHT and BEHIND two centres are level or at least this far apart
MIN_VISIBLE = 200  # smallest number of visible pixels of an object at 320x240

CLEAR = 0.7
"""The share of its pixels that each object shows, where there is such a place."""
STEP = 1.8
"""Scene units between the cells of the 5x5 grid."""
REACH = 3.9
"""Of |right| + |behind|: seen by the camera, the floor is a diamond with its corners left, right, front and back."""
SEARCH, EVERYWHERE, FINENESS = 2.4, 4.2, 0.2
"""Scene units: how far from the wish a free place is searched, at most, and the distance of two candidates."""

MAX_OTHERS = 64
"""Objects on the floor: there is no room for more."""

View = tuple[float, float]
"""A place as the camera sees it: scene units to the right of the centre and behind it."""


def fits(one: ClevrObject, other: ClevrObject) -> bool:
    """Return whether two objects are GAP apart, and along RIGHT and BEHIND level or MARGIN apart."""
    dx, dy = one.x - other.x, one.y - other.y
    if np.hypot(dx, dy) - RADII[one.size] - RADII[other.size] < GAP:
        return False
    return not any(0 < abs(dx * ux + dy * uy) < MARGIN for ux, uy in (RIGHT, BEHIND))


def mask_of(things: Sequence[ClevrObject], rotations: Sequence[float], camera: Camera) -> np.ndarray:
    """Return the index of the object at each pixel of a frame, -1 for the stage: (240, 320) int8."""
    radii = [RADII[thing.size] for thing in things]
    centres = np.array([(thing.x, thing.y, r) for thing, r in zip(things, radii, strict=True)])
    return object_mask([thing.shape for thing in things], centres, radii, rotations, camera)


def fewest_pixels(things: Sequence[ClevrObject]) -> np.ndarray:
    """Count the visible pixels of each object (N,), the fewer of two yaws of all."""
    masks = [mask_of(things, [yaw] * len(things), Camera()) for yaw in (0.0, np.pi / 4)]
    return np.minimum(*(visible_pixels(mask, len(things)) for mask in masks))


def view_of(thing: ClevrObject) -> View:
    """Return where the camera sees an object."""
    return thing.x * RIGHT[0] + thing.y * RIGHT[1], thing.x * BEHIND[0] + thing.y * BEHIND[1]


def cell(column: int, row: int) -> View:
    """Return the centre of a cell of the 5x5 grid of the floor, each from -2 (left, front) to 2 (right, back).

    Cells outside the floor's diamond move towards its centre.
    """
    scale = STEP * min(1.0, REACH / max(STEP * (abs(column) + abs(row)), REACH))
    return scale * column, scale * row


def place(
    thing: ClevrObject,
    wish: View,
    others: Sequence[ClevrObject],
    tests: Sequence[Callable[[View], bool]] = (),
    search: float = SEARCH,
) -> ClevrObject | None:
    """Move an object to the free place that is nearest to the wish, if it can be one where all objects are CLEAR.

    The same arguments give the same place.

    Args:
        thing: the object; its x and y are ignored.
        wish: where it should be.
        others: the objects that are there.
        tests: return whether a place is one of those that the sentence means.
        search: scene units from the wish.

    Returns:
        The object, or None if there is no free place.
    """
    if len(others) > MAX_OTHERS:
        return None
    candidates = []
    for right, behind in _OFFSETS:
        view = wish[0] + right, wish[1] + behind
        x, y = (round(view[0] * RIGHT[k] + view[1] * BEHIND[k], 2) + 0.0 for k in (0, 1))
        moved = replace(thing, x=x, y=y)
        if hypot(right, behind) <= search and max(abs(x), abs(y)) <= LIMIT and all(test(view) for test in tests):
            candidates += [moved] if all(fits(moved, other) for other in others) else []
    alone = np.array([fewest_pixels([other])[0] for other in others])
    visible = fewest_pixels(others) if others else alone
    for share in (CLEAR, 0.0):
        needed = np.minimum(visible, np.maximum(MIN_VISIBLE, share * alone))
        for moved in candidates:
            *rest, own = fewest_pixels([*others, moved])
            if own >= max(MIN_VISIBLE, share * fewest_pixels([moved])[0]) and (rest >= needed).all():
                return moved
    return None


_LINE = [k * FINENESS for k in range(-round(EVERYWHERE / FINENESS), round(EVERYWHERE / FINENESS) + 1)]
_OFFSETS = sorted(
    ((right, behind) for right in _LINE for behind in _LINE),
    key=lambda offset: (round(hypot(*offset), 6), offset[1], -offset[0]),
)
"""From the wish outwards; at one distance first those in front, which hide less than they would be hidden behind."""
