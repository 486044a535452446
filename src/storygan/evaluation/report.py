"""`storygan evaluate`: every metric for every row, with intervals, as a table or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import UsageError, require_seed
from storygan.evaluation.baselines import MODEL, ROWS, trivial_row
from storygan.evaluation.bootstrap import Estimate
from storygan.evaluation.measure import VARIETY_NOTE, Line, draw, measure, noise_use
from storygan.evaluation.sample_grid import ranked_rows
from storygan.models.folding import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.viz import check_out, save_sheet


@dataclass(frozen=True)
class Report:
    """The table, and how it was measured."""

    model: str
    data: str
    split: str
    stories: int
    seed: int
    only: str
    """How the ids of these stories begin; empty: all stories of the split."""
    rows: dict[str, Line]
    """By row, by metric; None where no story has a say."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds: each value with its 95% interval, `mean`, `low`, `high`, and the `stories` it rests on."""
        rows = {
            row: {name: value.to_dict() for name, value in line.items() if value} for row, line in self.rows.items()
        }
        own = ("model", "data", "split", "stories", "seed", "only", "notes")
        return {**{name: getattr(self, name) for name in own}, "rows": rows}

    def __str__(self) -> str:
        """A line a metric, a column a row of the evaluation, the 95% interval in brackets."""
        names = list(dict.fromkeys(name for line in self.rows.values() for name in line))
        cells = [["", *(ROWS[row] for row in self.rows)]]
        cells += [[name, *(_cell(line.get(name)) for line in self.rows.values())] for name in names]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
        return "\n".join([*(line.rstrip() for line in lines), "", *self.notes])


def _cell(value: Estimate | None) -> str:
    return "-" if value is None else str(value)


def evaluate(
    model: str,
    data: str | Path,
    split: str = "test",
    stories: int = 0,
    seed: int = 0,
    classifier: str | Path | None = None,
    only: str = "",
    sheet: Path | None = None,
) -> Report:
    """Evaluate a model, or a trivial row under its name, on the first `stories` stories of a split (0: all).

    `only`: how the ids of the stories that count begin, for data sets whose parts differ in their ids. `sheet`: where
    to save a picture of good and bad stories (`evaluation.sheet`). `classifier`: folder of one; else a shipped one.

    Raises:
        UsageError: the model does not fit the data, or there are fewer than 2 stories.
        StoryganError: the model, the data or the classifier cannot be read.
    """
    if stories < 0:
        raise UsageError(f"{stories} stories: give a positive number, or 0 for all")
    if sheet:
        check_out(sheet)
    require_seed(seed)
    torch.set_flush_denormal(True)
    dataset = _chosen(open_split(data, split), only, stories)
    told = dataset.sentences
    row = trivial_row(model)
    network = None if row else fuse_batch_norm(StoryGAN.from_pretrained(model))
    drawn = draw(network, told, seed) if network else str(row)
    found = measure(dataset, data, {MODEL: drawn}, seed, classifier)
    if sheet:
        values = found.read[MODEL] | found.pixels[MODEL]
        rows = ranked_rows(values, dataset.frames, found.pool.show(MODEL), told)
        save_sheet(rows, sheet, aspect_ratio=network.aspect_ratio if network else getattr(dataset, "aspect_ratio", 1.0))
    notes = list(found.notes)
    if network:
        found.lines[MODEL].update(noise_use(network, told, seed))
        notes.append(VARIETY_NOTE)
    part = f"{Path(data).name}, split {split}" + (f", ids that begin with {only}" if only else "")
    notes.insert(0, f"{len(told)} stories of {part}; seed {seed}; model {model}")
    return Report(model, Path(data).name, split, len(told), seed, only, found.lines, notes)


def _chosen(dataset: StoryDataset, only: str, stories: int) -> StoryDataset:
    """The stories to evaluate on, in memory."""
    chosen = [n for n, name in enumerate(dataset.story_ids) if name.startswith(only)][: stories or None]
    if not chosen:
        raise UsageError(f"no story's id begins with {only!r}; the first is {dataset.story_ids[0]}")
    return dataset.subset(chosen)
