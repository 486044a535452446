"""`storygan evaluate`: the metrics table of one model, as text or as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import UsageError, require_seed
from storygan.evaluation.baselines import METHODS, MODEL, find_baseline
from storygan.evaluation.measure import DIVERSITY_NOTE, Metrics, measure, measure_diversity
from storygan.evaluation.sample_grid import build_sample_grid
from storygan.models.devices import Precision, find_device
from storygan.models.storygan import load_for_inference
from storygan.viz import check_out, save_sheet


@dataclass(frozen=True)
class Report:
    """The metrics table, and how it was measured."""

    model: str
    data: str
    split: str
    stories: int
    seed: int
    id_prefix: str
    """Prefix of the story ids; empty: all stories of the split."""
    notes: list[str]
    metrics: dict[str, Metrics]
    """By method."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON: each value as `mean`, `low`, `high` (95% interval) and `stories`."""
        metrics = {
            method: {name: value.to_dict() for name, value in values.items() if value}
            for method, values in self.metrics.items()
        }
        return {**vars(self), "metrics": metrics}

    def __str__(self) -> str:
        """Return the table as text: a row a metric, a column a method."""
        names = dict.fromkeys(name for values in self.metrics.values() for name in values)
        cells = [["", *(METHODS[method] for method in self.metrics)]]
        cells += [[name, *(str(values.get(name) or "-") for values in self.metrics.values())] for name in names]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([*(row.rstrip() for row in rows), "", *self.notes])


def evaluate(
    model: str,
    data: str | Path,
    split: str = "test",
    stories: int = 0,
    seed: int = 0,
    classifier: str | Path | None = None,
    id_prefix: str = "",
    sample_grid: Path | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> Report:
    """Evaluate a model, one sample a story.

    Args:
        model: a shipped model, model folder or hub id, or a baseline: `real-frames`, `mean-image`, ...
        data: folder of the data set.
        split: of the data set.
        stories: how many to evaluate on, the first ones; 0: all.
        seed: of the model's noise and of the bootstrap.
        classifier: folder of the evaluation classifier; None: the shipped one that fits the data.
        id_prefix: evaluate only on stories whose ids begin with it.
        sample_grid: image file to write, see `build_sample_grid`.
        device: of all networks; `auto`: the accelerator if there is one.
        precision: of the model. The networks that measure compute in fp32.

    Raises:
        UsageError: the model does not fit the data, or there are fewer than 2 stories.
        StoryganError: the model, the data or the classifier cannot be read.
    """
    if stories < 0:
        raise UsageError(f"{stories} stories: give a positive number, or 0 for all")
    if sample_grid:
        check_out(sample_grid)
    require_seed(seed)
    torch.set_flush_denormal(True)
    dataset = _select(open_split(data, split), id_prefix, stories)
    sentences = dataset.sentences
    baseline = find_baseline(model)
    on = find_device(device)
    network = None if baseline else load_for_inference(model, on, precision)
    generated = network.generate_dataset(sentences, seed=seed) if network else str(baseline)
    measured = measure(dataset, data, {MODEL: generated}, seed, classifier, on)
    if sample_grid:
        per_story = measured.classifier_metrics[MODEL] | measured.pixel_metrics[MODEL]
        rows = build_sample_grid(per_story, dataset.frames, measured.pool.select(MODEL), sentences)
        save_sheet(rows, sample_grid, aspect_ratio=dataset.aspect_ratio)
    part = f"{Path(data).name}, split {split}" + (f", ids that begin with {id_prefix}" if id_prefix else "")
    notes = [f"{len(sentences)} stories of {part}; seed {seed}; model {model}", *measured.notes]
    if network:
        measured.table[MODEL].update(measure_diversity(network, sentences, seed))
        notes.append(DIVERSITY_NOTE)
    return Report(model, Path(data).name, split, len(sentences), seed, id_prefix, notes, measured.table)


def _select(dataset: StoryDataset, id_prefix: str, stories: int) -> StoryDataset:
    """Return the stories to evaluate on, in memory."""
    story_idx = [n for n, story_id in enumerate(dataset.story_ids) if story_id.startswith(id_prefix)][: stories or None]
    if not story_idx:
        raise UsageError(f"no story's id begins with {id_prefix!r}; the first is {dataset.story_ids[0]}")
    return dataset.subset(story_idx)
