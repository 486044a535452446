"""The CLEVR-SV sentence grammar: `large red rubber cube at (2.18, -2.85)`, both ways."""

from __future__ import annotations

from dataclasses import dataclass

# The orders are those of the original release (FORMATS: CLEVR_dict.npy), so one-hots and labels line up with it.
SHAPES = ("cube", "sphere", "cylinder")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
SIZES = ("large", "small")
LABELS = SHAPES + COLOURS + MATERIALS + SIZES  # the 15 presence labels of a frame


@dataclass(frozen=True)
class ClevrObject:
    """One object on the floor. x and y are scene units in [-3, 3]."""

    shape: str
    colour: str
    material: str
    size: str
    x: float
    y: float
