"""How much an edit changed, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from storygan.clevr.geometry import Camera
from storygan.text.clevr import parse_sentence
from storygan.text.placement import mask_of

MARGIN = 7
"""Side in pixels of the square that dilates a mask: camera jitter moves an object by up to 3 pixels."""


def frame_table(numbers: Mapping[str, Sequence[float | None]]) -> str:
    """Format a table with a column for each frame; None becomes `-`."""
    n, width = max(map(len, numbers.values())), max(map(len, numbers))
    lines = [" " * width + "".join(f"{f'frame {t}':>10}" for t in range(1, n + 1))]
    for name, values in numbers.items():
        lines.append(f"{name:<{width}}" + "".join(f"{'-' if x is None else f'{x:.3f}':>10}" for x in values))
    return "\n".join(lines)


@dataclass(frozen=True)
class PixelChange:
    """Mean absolute pixel difference of n frames, in levels of 0 to 255. NaN if a region has no pixels."""

    overall: np.ndarray
    """(n,): over the whole frame."""
    inside: np.ndarray
    """(n,): inside the mask."""
    outside: np.ndarray
    """(n,): outside the mask."""

    def __str__(self) -> str:
        return frame_table(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return lists of n numbers; None if a region has no pixels."""
        return {
            name: [None if np.isnan(value) else round(float(value), 4) for value in getattr(self, name)]
            for name in ("overall", "inside", "outside")
        }


def pixel_change(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None = None) -> PixelChange:
    """Compare stories frame by frame.

    Args:
        before: uint8 (N, n, H, W, 3).
        after: the same shape, or another n; then the frames that both have are compared.
        mask: bool (H, W), the region that the edit is about; None: no region, so `inside` is NaN.

    Returns:
        Means over the N samples.
    """
    n = min(before.shape[1], after.shape[1])
    change = np.abs(after[:, :n].astype(np.int16) - before[:, :n]).mean((0, 4))  # (n, H, W)
    mask = np.zeros(change.shape[1:], bool) if mask is None else mask
    missing = np.full(n, np.nan)
    return PixelChange(
        overall=change.mean((1, 2)),
        inside=change[:, mask].mean(1) if mask.any() else missing,
        outside=change[:, ~mask].mean(1) if not mask.all() else missing,
    )


def sentence_mask(*sentences: str, size: int = 64) -> np.ndarray:
    """Return where the objects of CLEVR-SV sentences are in a frame of the camera without jitter, dilated by MARGIN.

    Returns:
        bool (size, size), the union over the objects, at any yaw and without occlusion.

    Raises:
        UsageError: A sentence is not in the CLEVR-SV grammar.
    """
    mask = np.zeros((240, 320), bool)
    for described in map(parse_sentence, sentences):
        for yaw in (0, np.pi / 4):
            mask |= mask_of([described], [yaw], Camera()) >= 0
    small = Image.fromarray(mask).convert("L").resize((size, size), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.MaxFilter(MARGIN))) > 0
