"""What an edit changed, and whether only that changed which follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from storygan.data.clevr.constants import RADII
from storygan.data.clevr.geometry import Camera, object_mask
from storygan.text.clevr import parse_sentence


def frame_table(numbers: Mapping[str, Sequence[float | None]]) -> str:
    """Rows of n numbers, one a frame, under a heading; `-` where there is no number."""
    n, width = max(map(len, numbers.values())), max(map(len, numbers))
    lines = [" " * width + "".join(f"{f'frame {t}':>10}" for t in range(1, n + 1))]
    for name, values in numbers.items():
        lines.append(f"{name:<{width}}" + "".join(f"{'-' if x is None else f'{x:.3f}':>10}" for x in values))
    return "\n".join(lines)


MARGIN = 7
"""Pixels of 64 that a place is widened by, as the side of a square: the camera's jitter moves an object by up to 3."""


@dataclass(frozen=True)
class Effect:
    """Mean absolute change of a frame's values, in levels of 0 to 255. NaN where a region has no pixels."""

    everywhere: np.ndarray
    """(n,): of the whole frame."""
    inside: np.ndarray
    """(n,): of the place that the edit speaks of."""
    outside: np.ndarray
    """(n,): of the rest of the frame."""

    def __str__(self) -> str:
        """A table."""
        return frame_table(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Lists of n numbers; null where a region has no pixels."""
        return {
            name: [None if np.isnan(value) else round(float(value), 4) for value in getattr(self, name)]
            for name in ("everywhere", "inside", "outside")
        }


def effect(before: np.ndarray, after: np.ndarray, place: np.ndarray | None = None) -> Effect:
    """Compare drawings frame by frame.

    Args:
        before: uint8 (N, n, H, W, 3).
        after: alike; where it has more frames, or fewer, those that both have are compared.
        place: (H, W) bool, where a change is called for; None: nowhere in particular, and `inside` is NaN.

    Returns:
        Means over the N drawings.
    """
    n = min(before.shape[1], after.shape[1])
    change = np.abs(after[:, :n].astype(np.int16) - before[:, :n]).mean((0, 4))  # (n, H, W)
    place = np.zeros(change.shape[1:], bool) if place is None else place
    nothing = np.full(n, np.nan)
    return Effect(
        everywhere=change.mean((1, 2)),
        inside=change[:, place].mean(1) if place.any() else nothing,
        outside=change[:, ~place].mean(1) if not place.all() else nothing,
    )


def place_of(*sentences: str, size: int = 64) -> np.ndarray:
    """Where the objects of CLEVR-SV sentences stand, as the un-jittered camera sees them, with a MARGIN.

    Returns:
        (size, size) bool, True at any of them, however they are turned and whether hidden or not.

    Raises:
        UsageError: where a sentence is not of the CLEVR-SV grammar.
    """
    seen = np.zeros((240, 320), bool)
    for thing in map(parse_sentence, sentences):
        radius = RADII[thing.size]
        for turned in (0, np.pi / 4):
            centre = np.array([[thing.x, thing.y, radius]])
            seen |= object_mask([thing.shape], centre, [radius], [turned], Camera()) >= 0
    small = Image.fromarray(seen).convert("L").resize((size, size), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.MaxFilter(MARGIN))) > 0
