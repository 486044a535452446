"""Rows of pictures for `viz.sheet`: edits before and after, and attribution as heatmaps."""

from __future__ import annotations

import numpy as np

from storygan.editing.attribution import Attribution
from storygan.editing.changes import pixel_change
from storygan.models.output import StoryOutput
from storygan.viz import Row

MIN_RANGE = 8
"""Smallest change, in levels of 0 to 255, that a heatmap shows as white."""


def before_after_rows(before: StoryOutput, after: StoryOutput) -> list[Row]:
    """Return three rows for each sample: before with its sentences, after with the new ones, and the difference.

    The captions of a difference are each frame's mean change, in levels of 0 to 255.
    """
    new = [s if s != old else "" for s, old in zip(after.sentences, before.sentences, strict=True)]
    rows = []
    for k in range(len(before)):
        number = f" {k + 1}" if len(before) > 1 else ""
        rows.append(Row(f"before{number}", before.frames[k], before.sentences))
        rows.append(Row(f"after{number}", after.frames[k], new))
        amounts = pixel_change(before.frames[k : k + 1], after.frames[k : k + 1]).overall
        heat = difference_heatmap(before.frames[k], after.frames[k])
        rows.append(Row(f"difference{number}", heat, [f"{amount:.2f} of 255" for amount in amounts]))
    return rows


def interpolation_rows(output: StoryOutput) -> list[Row]:
    """Return a row for each step of an interpolation, with the sentences under the last."""
    last = len(output) - 1
    captions = [*[()] * last, output.sentences]
    labels = [f"{k / last:.0%}" for k in range(len(output))]
    return [Row(*row) for row in zip(labels, output.frames, captions, strict=True)]


def attribution_rows(attribution: Attribution, output: StoryOutput, grid: np.ndarray | None) -> list[Row]:
    """Return the story, a heatmap for each source with the amounts below, and the gist grid.

    All heatmaps have one scale. `output` has one sample; `grid` is its `gist_grid`.
    """
    frames = output.frames[0]
    white = heatmap_range(attribution.maps)
    rows = [Row(f"story (heatmaps below: change; white is {white:.0f} of 255 or more)", frames, output.sentences)]
    for source, maps, amounts in zip(attribution.sources, attribution.maps, attribution.amounts, strict=True):
        rows.append(Row(source, heatmap(frames, maps / white), [f"{amount:.2f} of 255" for amount in amounts]))
    for j, generated in enumerate(() if grid is None else grid[0], 1):
        rows.append(Row(f"Filter(i_{j}) * h_t", generated, [f"h_{t}" for t in range(1, len(generated) + 1)]))
    return rows


def difference_heatmap(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the frames `after`, uint8 (n, H, W, 3), darkened, with a heatmap of the difference from `before`."""
    changes = np.abs(after.astype(np.int16) - before).mean(-1)  # (n, H, W)
    return heatmap(after, changes / heatmap_range(changes))


def heatmap_range(maps: np.ndarray) -> float:
    """Return the change that heatmaps (..., H, W) of one scale show as white: the 99.9% quantile, or MIN_RANGE."""
    return max(float(np.quantile(maps, 0.999)), MIN_RANGE)


def heatmap(frames: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Draw amounts (n, H, W) from 0 to 1 as black, red, yellow, white over darkened gray frames (n, H, W, 3)."""
    amount = amounts.clip(0, 1)[..., None]
    colour = (3 * amount - np.arange(3)).clip(0, 1) * 255
    gray = frames.mean(-1, keepdims=True) / 2
    return (gray * (1 - amount) + colour * amount**0.5).clip(0, 255).astype(np.uint8)
