"""`storygan evaluate`: the metrics table of a model and of other systems, as text or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import UsageError, require_seed, require_whole
from storygan.evaluation.baselines import METHODS, MODEL, build_pool, find_baseline, mean_image
from storygan.evaluation.bootstrap import Metrics
from storygan.evaluation.measure import DIVERSITY_NOTE, measure, measure_diversity, nearest_stories, training_split
from storygan.evaluation.page import check_page, make_page
from storygan.evaluation.sample_grid import build_sample_grid
from storygan.evaluation.study import make_study
from storygan.evaluation.system_frames import read_system_frames, require_name
from storygan.evaluation.tables import (
    Table,
    conventions,
    differences,
    differences_table,
    headline_table,
    metrics_table,
    text_table,
    to_plain,
)
from storygan.files import atomic_write
from storygan.models.devices import Precision, find_device
from storygan.models.storygan import load_for_inference
from storygan.viz import check_out, save_sheet


@dataclass(frozen=True)
class Report:
    """The metrics table, and how it was measured."""

    model: str
    """Empty: no model, only frames."""
    systems: dict[str, str]
    """By name, the model or the frames of each; the paired differences are against the first."""
    data: str
    split: str
    stories: int
    seed: int
    id_prefix: str
    """Prefix of the story ids; empty: all stories of the split."""
    notes: list[str]
    metrics: dict[str, Metrics]
    """By method."""
    differences: dict[str, Metrics]
    """By system except the first: the first minus this one, on the same stories."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON: each value as `mean`, `low`, `high` (95% interval) and `stories`."""
        return {**vars(self), "metrics": to_plain(self.metrics), "differences": to_plain(self.differences)}

    def tables(self) -> list[Table]:
        """Return the headline table, the table of all metrics, and with several systems that of their differences."""
        tables = [
            headline_table("Headline", self.metrics, METHODS),
            metrics_table("All metrics", self.metrics, METHODS),
        ]
        if self.differences:
            first = next(iter(self.systems))
            tables.append(differences_table(f"Is {first} better?", first, self.differences))
        return tables

    def __str__(self) -> str:
        """Return tables and notes as text."""
        return "\n\n".join([*(text_table(table.cells) for table in self.tables()), "\n".join(self.notes)])


def evaluate(
    model: str | None,
    data: str | Path,
    split: str = "test",
    stories: int = 0,
    seed: int = 0,
    classifiers: Sequence[str | Path] = (),
    id_prefix: str = "",
    sample_grid: Path | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
    frames: Mapping[str, str | Path] | None = None,
    page: Path | None = None,
    matcher: str | Path | None = None,
) -> Report:
    """Evaluate a model, one sample a story, and the frames of other systems.

    Args:
        model: a shipped model, model folder or hub id, or a baseline: `real-frames`, `mean-image`, ...; None: none.
        data: folder of the data set.
        split: of the data set.
        stories: how many to evaluate on, the first ones; 0: all.
        seed: of the model's noise and of the bootstrap.
        classifiers: folders of the evaluation classifiers; empty: the shipped ones that fit the data.
        id_prefix: evaluate only on stories whose ids begin with it.
        sample_grid: image file to write, of the first system, see `build_sample_grid`.
        device: of all networks; `auto`: the accelerator if there is one.
        precision: of the model. The networks that measure compute in fp32.
        frames: by name of a system, where its frames are: see `read_system_frames`.
        page: HTML file to write, see `make_page`.
        matcher: folder of the matcher of R-precision; None: the shipped one if it fits the data.

    Raises:
        UsageError: the model does not fit the data (more than 2 T sentences, pixels), there are fewer than 2 stories,
            or there is no system.
        StoryganError: the model, the frames, the data or the classifier cannot be read.
    """
    frames = frames or {}
    if stories < 0:
        raise UsageError(f"{stories} stories: give a positive number, or 0 for all")
    if model is None and not frames:
        raise UsageError("nothing to evaluate: give a model or frames")
    for name in frames:
        require_name(name)
    if sample_grid:
        check_out(sample_grid)
    if page:
        check_page(page)
    require_seed(seed)
    torch.set_flush_denormal(True)
    dataset = _select(open_split(data, split), id_prefix, stories)
    sentences = dataset.sentences
    on = find_device(device)
    read = {name: read_system_frames(name, path, dataset, split) for name, path in frames.items()}
    baseline = find_baseline(model or "")
    network = None if baseline or model is None else load_for_inference(model, on, precision)
    if network and network.config.image_size != dataset.size:
        raise UsageError(
            f"the model generates {network.config.image_size} pixels a side, and the frames of {data} have "
            f"{dataset.size}: render or import the data with --size {network.config.image_size}"
        )
    generated: dict[str, np.ndarray | str] = {}
    if model is not None:
        generated[MODEL] = network.generate_dataset(sentences, seed=seed) if network else str(baseline)
    generated |= {name: X_hat for name, (X_hat, _) in read.items()}
    measured = measure(dataset, data, generated, seed, classifiers, on, matcher)
    per_story = {name: measured.per_story(name) for name in generated}
    first = next(iter(generated))
    if sample_grid:
        rows = build_sample_grid(per_story[first], dataset.frames, measured.pool.select(first), sentences)
        save_sheet(rows, sample_grid, aspect_ratio=dataset.aspect_ratio)
    part = f"{Path(data).name}, split {split}" + (f", ids that begin with {id_prefix}" if id_prefix else "")
    systems = ({} if model is None else {MODEL: model}) | {name: str(path) for name, path in frames.items()}
    named = "; ".join(f"{name} {source}" for name, source in systems.items())
    notes = [f"{len(sentences)} stories of {part}; seed {seed}; {named}"]
    notes += [f"headline: {conventions(measured.table['real_frames'])}", *measured.notes]
    notes += [note for _, note in read.values() if note]
    if network:
        measured.table[MODEL].update(measure_diversity(network, sentences, seed))
        notes.append(DIVERSITY_NOTE)
        if network.config.T != dataset.T:
            notes.append(f"the stories have {dataset.T} sentences, those of the model's training {network.config.T}")
    if len(systems) > 1:
        notes.append(f"{first} - X: {first} minus X, both resampled together, story by story")
    report = Report(
        model=model or "",
        systems=systems,
        data=Path(data).name,
        split=split,
        stories=len(sentences),
        seed=seed,
        id_prefix=id_prefix,
        notes=notes,
        metrics=measured.table,
        differences=differences(per_story, seed),
    )
    if page:
        samples = {name: (measured.pool.select(name), per_story[name]) for name in generated}
        title = f"Story visualization on {report.data}"
        atomic_write(page, make_page(title, report.tables(), notes, dataset, samples))
    return report


def write_study(
    model: str | None,
    data: str | Path,
    out: Path,
    frames: Mapping[str, str | Path],
    split: str = "test",
    stories: int = 20,
    seed: int = 0,
) -> None:
    """Write the page on which people compare two systems, see `make_study`; arguments are those of `evaluate`.

    Raises:
        UsageError: there are not two systems, or a page cannot be written there.
        StoryganError: the model, the frames or the data cannot be read.
    """
    check_page(out, "--out")
    require_seed(seed)
    require_whole("stories", stories, 2, 1000)
    dataset = _select(open_split(data, split), "", stories)
    generated: dict[str, np.ndarray | str] = {}
    if model is not None:
        baseline = find_baseline(model)
        name = baseline or Path(model).name
        network = None if baseline else load_for_inference(model, torch.device("cpu"), "fp32")
        generated[name] = network.generate_dataset(dataset.sentences, seed=seed) if network else str(baseline)
    generated |= {name: read_system_frames(name, path, dataset, split)[0] for name, path in frames.items()}
    train = training_split(data, dataset)
    pool = build_pool(dataset.frames, mean_image(train or dataset), generated, nearest_stories(train, dataset))
    atomic_write(out, make_study(dataset, {name: pool.select(name) for name in generated}, seed))


def _select(dataset: StoryDataset, id_prefix: str, stories: int) -> StoryDataset:
    """Return the stories to evaluate on, in memory."""
    story_idx = [n for n, story_id in enumerate(dataset.story_ids) if story_id.startswith(id_prefix)][: stories or None]
    if not story_idx:
        raise UsageError(f"no story's id begins with {id_prefix!r}; the first is {dataset.story_ids[0]}")
    return dataset.subset(story_idx)
