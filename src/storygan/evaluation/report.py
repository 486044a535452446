"""`storygan evaluate`: every metric for every row, with intervals, as a table or as JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from storygan.data.clevr.places import SAFE, STEP
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.schema import splits
from storygan.evaluation.bootstrap import RESAMPLES, Estimate, estimate
from storygan.evaluation.lessons import find_judge, lessons_if_any
from storygan.evaluation.lines import FEWEST, distance_stories, distances, label_metrics, object_metrics, pixel_metrics
from storygan.evaluation.rows import MODEL, ROWS, make_pool, mean_image, trivial_row
from storygan.evaluation.seeing import look
from storygan.evaluation.sheet import ranked_rows
from storygan.evaluation.variety import variety
from storygan.models.folding import fold
from storygan.models.noise import Noise, seeded
from storygan.models.recognizer import Recognizer
from storygan.models.storygan import StoryGAN
from storygan.types import UsageError, require_seed
from storygan.viz import check_out, save_sheet

VARIETY_STORIES = 50
"""At most so many stories are drawn over and over."""
Line = dict[str, Estimate | None]


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
    return "-" if value is None else f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def evaluate(
    model: str,
    data: str | Path,
    split: str = "test",
    stories: int = 0,
    seed: int = 0,
    recognizer: str | Path | None = None,
    only: str = "",
    sheet: Path | None = None,
) -> Report:
    """Evaluate a model, or a trivial row under its name, on the first `stories` stories of a split (0: all).

    `only`: how the ids of the stories that count begin, for data sets whose parts differ in their ids. `sheet`: where
    to save a picture of good and bad stories (`evaluation.sheet`). `recognizer`: folder of one; else a shipped one.

    Raises:
        UsageError: the model does not fit the data, or there are fewer than 2 stories.
        StoryganError: the model, the data or the recognizer cannot be read.
    """
    if stories < 0:
        raise UsageError(f"{stories} stories: give a positive number, or 0 for all")
    if sheet:
        check_out(sheet)
    require_seed(seed)
    torch.set_flush_denormal(True)
    whole = open_split(data, split)
    dataset = _chosen(whole, only, stories)
    N, told = len(dataset), dataset.sentences
    row = trivial_row(model)
    network = None if row else fold(StoryGAN.from_pretrained(model))
    known = lessons_if_any(dataset)
    judge = find_judge(known, recognizer)
    sees_places, sees_labels = known.read_by(judge) if known else (False, False)

    drawn = draw(network, told, seed) if network else str(row)
    averaged, whose = _averaged(data, whole)
    pool = make_pool(dataset.frames, mean_image(averaged), drawn)
    looked = look(judge, pool, told if sees_places else None)
    rows: dict[str, Line] = {}
    for name, index in tqdm(pool.rows.items(), desc="compare", unit="row", disable=None):
        values = object_metrics(looked.seen[name]) if sees_places else {}
        if known is not None and sees_labels:
            values |= label_metrics(looked.labels[index], known.labels.astype(bool), known.label_names)
        values |= pixel_metrics(pool, name)
        rows[name] = {metric: estimate(value, seed) for metric, value in values.items()}
        if sheet and name == MODEL:
            save_sheet(ranked_rows(values, dataset.frames, pool.show(MODEL), told), sheet)
    for name, line in distances(pool, looked.features if sees_places or sees_labels else None, seed).items():
        rows[name] |= line
    if network:
        S = torch.from_numpy(network.encode(told[:VARIETY_STORIES]))
        rows[MODEL] |= {metric: estimate(value, seed) for metric, value in variety(network, S, seed).items()}
    part = f"{Path(data).name}, split {split}" + (f", ids that begin with {only}" if only else "")
    notes = _notes(model, part, N, seed, judge, sees_places, sees_labels)
    notes.append(f"mean image: of {whose}")
    if network:
        notes.append(f"diversity, change: the first {len(S)} stories")
    return Report(model, Path(data).name, split, N, seed, only, rows, notes)


def draw(model: StoryGAN, stories: list[list[str]], seed: int) -> np.ndarray:
    """One drawing of each of N stories: uint8 (N, T, 64, 64, 3), as `StoryGAN.generate` draws them with that seed.

    Raises:
        UsageError: the stories have not the model's T sentences, or it cannot read one.
    """
    T = model.config.T
    if len(stories[0]) != T:
        raise UsageError(f"the model draws stories of {T} sentences; these have {len(stories[0])}")
    S = torch.from_numpy(model.encode(stories))
    return model.draw(S, Noise.draw(len(S), model.config, seeded(seed)))


def _chosen(dataset: StoryDataset, only: str, stories: int) -> StoryDataset:
    """The stories to evaluate on, in memory."""
    chosen = [n for n, name in enumerate(dataset.story_ids) if name.startswith(only)][: stories or None]
    if not chosen:
        raise UsageError(f"no story's id begins with {only!r}; the first is {dataset.story_ids[0]}")
    return replace(
        dataset,
        frames=dataset.frames[chosen],
        sentences=[dataset.sentences[n] for n in chosen],
        labels=None if dataset.labels is None else dataset.labels[chosen],
        story_ids=[dataset.story_ids[n] for n in chosen],
    )


def _averaged(data: str | Path, dataset: StoryDataset) -> tuple[StoryDataset, str]:
    """Whose mean image is a row, and in words: the training split's if one fits, else that of the split at hand."""
    if "train" in splits(data):
        train = open_split(data, "train")
        if train.size == dataset.size:
            return train, "the training split"
    return dataset, "the very frames that it is compared with: there is no training split of this size"


def _notes(model: str, data: str, N: int, seed: int, judge: Recognizer, places: bool, labels: bool) -> list[str]:
    """How it was measured, for people."""
    about = judge.about
    trained = f"trained on {about.get('stories')} stories of {about.get('data')}, split {about.get('split')}"
    notes = [
        f"{N} stories of {data}; seed {seed}; model {model}",
        f"in brackets: 95% interval over stories ({RESAMPLES} bootstrap resamples)",
    ]
    if places or labels:
        notes.append(f"recognizer {trained}; the row of real frames shows where it errs")
    else:
        notes.append("no recognizer for these stories: train one (storygan train-recognizer), name it (--recognizer)")
    if places:
        notes.append(f"nothing_extra: no object at floor places {STEP} apart, at least {SAFE} from what has been told")
    if side := distance_stories(N):
        notes.append(f"kid, fid: {side} stories of the second half against the real frames of {side} of the first half")
    else:
        notes.append(f"no kid, no fid: they need {2 * FEWEST} stories")
    return notes
