"""Edits as pictures: before and after with their sentences, and influence as heat on the frames."""

from __future__ import annotations

import numpy as np

from storygan.editing.attribution import Influence
from storygan.editing.effects import effect
from storygan.editing.output import Drawing
from storygan.viz import Row

HEAT = 8
"""Change of a pixel, in levels, below which a heat map never reaches its brightest."""


def told(drawing: Drawing) -> list[Row]:
    """The rows of a sheet: each drawing over its sentences."""
    return [Row(label("drawing", drawing, k), drawing.frames[k], drawing.story) for k in range(len(drawing))]


def before_and_after(before: Drawing, after: Drawing) -> list[Row]:
    """The rows of a sheet: each drawing over its sentences; after the edit, over those that are new; where it changed.

    The last row's captions are the mean change of each frame, in levels of 0 to 255.
    """
    new = ["" if s == old else s for s, old in zip(after.story, before.story, strict=True)]
    rows = []
    for k in range(len(before)):
        rows.append(Row(label("before", before, k), before.frames[k], before.story))
        rows.append(Row(label("after", before, k), after.frames[k], new))
        amounts = effect(before.frames[k : k + 1], after.frames[k : k + 1]).everywhere
        glow = where_changed(before.frames[k], after.frames[k])
        rows.append(Row(label("where it changed", before, k), glow, [f"{amount:.2f}" for amount in amounts]))
    return rows


def where_changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Two strips uint8 (n, H, W, 3) -> the second, darkened, with heat where it differs from the first; alike."""
    changes = np.abs(after.astype(np.int16) - before).mean(-1)  # (n, H, W)
    return heat(after, changes / brightest(changes))


def label(name: str, drawing: Drawing, k: int) -> str:
    """`name`, with a number where the drawing holds several."""
    return f"{name} {k + 1}" if len(drawing) > 1 else name


def between(drawing: Drawing) -> list[Row]:
    """The rows of a sheet: the steps of an interpolation."""
    last = len(drawing) - 1
    labels = [f"{k / last:.0%} of the way" for k in range(len(drawing))]
    captions = [drawing.story, *[()] * last]
    return [Row(*row) for row in zip(labels, drawing.frames, captions, strict=True)]


def influence_rows(found: Influence, drawing: Drawing, grid: np.ndarray | None) -> list[Row]:
    """The rows of a sheet: the story; heat where its frames change with each source, with the amounts; the gist grid.

    All heat has one scale. `drawing` holds one drawing; `grid` is its `gist_grid`.
    """
    frames = drawing.frames[0]
    most = brightest(found.maps)
    rows = [Row(f"the story. Below: what changes, of 255; white: {most:.0f} or more", frames, drawing.story)]
    for source, maps, amounts in zip(found.sources, found.maps, found.amounts, strict=True):
        rows.append(Row(source, heat(frames, maps / most), [f"{amount:.2f}" for amount in amounts]))
    for j, drawn in enumerate(() if grid is None else grid[0], 1):
        rows.append(Row(f"Filter(i_{j}) * h_t", drawn, [f"h_{t}" for t in range(1, len(drawn) + 1)]))
    return rows


def brightest(maps: np.ndarray) -> float:
    """The change that heat maps (..., H, W) of one scale show as white: nearly the largest, or HEAT."""
    return max(float(np.quantile(maps, 0.999)), HEAT)


def heat(frames: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Amounts (n, H, W), 0 to 1 and more, as black, red, yellow, white over the darkened gray frames (n, H, W, 3)."""
    amount = amounts.clip(0, 1)[..., None]
    colour = (3 * amount - np.arange(3)).clip(0, 1) * 255
    gray = frames.mean(-1, keepdims=True) / 2
    return (gray * (1 - amount) + colour * amount**0.5).clip(0, 255).astype(np.uint8)
