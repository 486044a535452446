"""Every metric of every row: of drawings by one model or by several, beside real frames and trivial drawings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from storygan.data.clevr.places import SAFE, STEP
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.schema import splits
from storygan.evaluation.bootstrap import RESAMPLES, Estimate, PerStory, estimate
from storygan.evaluation.lessons import find_judge, lessons_if_any
from storygan.evaluation.lines import FEWEST, distance_stories, distances, label_metrics, object_metrics, pixel_metrics
from storygan.evaluation.rows import Pool, make_pool, mean_image
from storygan.evaluation.seeing import look
from storygan.evaluation.variety import variety
from storygan.models.noise import Noise, seeded
from storygan.models.recognizer import Recognizer
from storygan.models.storygan import StoryGAN

VARIETY_STORIES = 50
"""At most so many stories are drawn over and over."""
VARIETY_NOTE = f"diversity, change: the first {VARIETY_STORIES} stories, where there are as many"
Line = dict[str, Estimate | None]


@dataclass(frozen=True)
class Measured:
    """What was found in the frames of N stories, by row: real frames, the trivial rows, and what was drawn."""

    pool: Pool
    read: dict[str, dict[str, PerStory]]
    """What a recognizer reads, story by story, by row and metric; all are better when larger. Empty without one."""
    pixels: dict[str, dict[str, PerStory]]
    lines: dict[str, Line]
    """All metrics, by row; None where no story has a say."""
    notes: list[str]
    """How it was measured, for people."""


def measure(
    dataset: StoryDataset,
    data: str | Path,
    drawn: Mapping[str, np.ndarray | str],
    seed: int,
    recognizer: str | Path | None = None,
) -> Measured:
    """Measure drawings of a data set's N stories.

    Args:
        dataset: the stories, with their real frames.
        data: folder of the data set, whose training split's mean image is a row.
        drawn: by row, uint8 frames (N, T, H, W, 3), or the name of a trivial row to stand for them.
        seed: of the bootstrap.
        recognizer: folder of one; else a shipped one that knows the stories.

    Raises:
        UsageError: the drawings do not fit the real frames, there are fewer than 2 stories, or the recognizer named
            knows nothing of them.
        StoryganError: the data or the recognizer cannot be read.
    """
    known = lessons_if_any(dataset)
    judge = find_judge(known, recognizer)
    places, labels = known.read_by(judge) if known else (False, False)
    averaged, whose = _averaged(data, dataset)
    pool = make_pool(dataset.frames, mean_image(averaged), drawn)
    looked = look(judge, pool, dataset.sentences if places else None)
    read: dict[str, dict[str, PerStory]] = {}
    for row, index in pool.rows.items():
        read[row] = object_metrics(looked.seen[row]) if places else {}
        if known is not None and labels:
            read[row] |= label_metrics(looked.labels[index], known.labels.astype(bool), known.label_names)
    pixels = {row: pixel_metrics(pool, row) for row in tqdm(pool.rows, desc="compare", unit="row", disable=None)}
    lines = {row: estimates(read[row] | pixels[row], seed) for row in pool.rows}
    for row, line in distances(pool, looked.features if places or labels else None, seed).items():
        lines[row] |= line
    notes = [f"mean image: of {whose}", *_notes(len(dataset), judge, places, labels)]
    return Measured(pool, read, pixels, lines, notes)


def estimates(values: Mapping[str, PerStory], seed: int) -> Line:
    """Their values with intervals, by metric."""
    return {metric: estimate(value, seed) for metric, value in values.items()}


def noise_use(model: StoryGAN, stories: list[list[str]], seed: int) -> Line:
    """What the model's noise does to the first VARIETY_STORIES of these stories."""
    S = torch.from_numpy(model.encode(stories[:VARIETY_STORIES]))
    return estimates(variety(model, S, seed), seed)


def draw(model: StoryGAN, stories: list[list[str]], seed: int) -> np.ndarray:
    """One drawing of each of N stories: uint8 (N, T, 64, 64, 3), as `StoryGAN.generate` draws them with that seed.

    Raises:
        UsageError: the stories have not the model's T sentences, or it cannot read one.
    """
    model.require_story(stories[0])  # a split has one T
    S = torch.from_numpy(model.encode(stories))
    return model.draw(S, Noise.draw(len(S), model.config, seeded(seed)))


def _averaged(data: str | Path, dataset: StoryDataset) -> tuple[StoryDataset, str]:
    """Whose mean image is a row, and in words: the training split's if one fits, else that of the stories at hand."""
    if "train" in splits(data):
        train = open_split(data, "train")
        if train.size == dataset.size:
            return train, "the training split"
    return dataset, "the very frames that it is compared with: there is no training split of this size"


def _notes(N: int, judge: Recognizer, places: bool, labels: bool) -> list[str]:
    about = judge.about
    notes = [f"in brackets: 95% interval over stories ({RESAMPLES} bootstrap resamples)"]
    if places or labels:
        trained = f"trained on {about.get('stories')} stories of {about.get('data')}, split {about.get('split')}"
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
