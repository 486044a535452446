"""Every metric of every row: of drawings by one model or by several, beside real frames and trivial drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from storygan.data.clevr.locations import GRID_STEP, SAFE_DISTANCE
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.schema import splits
from storygan.evaluation import metrics
from storygan.evaluation.baselines import FramePool, make_pool, mean_image
from storygan.evaluation.bootstrap import RESAMPLES, Estimate, PerStory, estimate, join
from storygan.evaluation.distances import extract, fid, installed, kid
from storygan.evaluation.labelled_frames import find_classifier, labelled_frames_if_any
from storygan.evaluation.metrics import ObjectPredictions, variety
from storygan.evaluation.predictions import look
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN

BATCH = 16
"""Stories at a time."""
DISTANCE_STORIES = 250
"""At most so many stories on each side of KID and FID: their networks are slow, their matrices large."""
FEWEST = 10
"""Stories that each side of KID and FID needs."""


def object_metrics(seen: ObjectPredictions) -> dict[str, PerStory]:
    """What the classifier saw at the places of CLEVR-SV objects."""
    return {
        "object_accuracy": metrics.object_accuracy(seen),
        "story_consistency": metrics.story_consistency(seen),
        "no_false_positives": metrics.no_false_positives(seen),
        "object_recall": metrics.object_recall(seen),
        **metrics.attribute_accuracy(seen),
    }


def label_metrics(found: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, PerStory]:
    """Labels found in the frames and the right ones, (N, T, K) bool, and their K names.

    Names such as `place: farm` put labels into groups; each group is measured on its own too, as in
    `label_exact_match_place`.
    """
    groups: dict[str, list[int]] = {"": list(range(len(names)))}
    for k, name in enumerate(names):
        group, colon, _ = name.partition(":")
        if colon:
            groups.setdefault("_" + group.strip().replace(" ", "_"), []).append(k)
    return {
        f"{metric.__name__}{group}": metric(found[..., ks], labels[..., ks])
        for group, ks in groups.items()
        for metric in (metrics.label_exact_match, metrics.label_micro_f1, metrics.label_consistency)
    }


def pixel_metrics(pool: FramePool, row: str) -> dict[str, PerStory]:
    """The row's frames against the real ones."""
    parts = [slice(start, start + BATCH) for start in range(0, len(pool.rows[row]), BATCH)]
    found = [metrics.pixel_metrics(pool.show(row, part), pool.show("real_frames", part)) for part in parts]
    return {name: join([values[name] for values in found]) for name in found[0]}


def distance_stories(N: int) -> int:
    """Stories on each side of KID and FID, of N; 0: too few for them."""
    side = min(N // 2, DISTANCE_STORIES)
    return side if side >= FEWEST else 0


def distances(pool: FramePool, recognized: np.ndarray | None, seed: int) -> dict[str, dict[str, Estimate]]:
    """KID and FID of every row: by row, by name, which says whose features they are on.

    The real frames of the first half of the stories are what the second half of each row is compared with, so that real
    frames have a distance too: what chance alone makes of so few stories. `recognized` are the classifier's features of
    the pool, (M, F).
    """
    N = len(pool.rows["real_frames"])
    side = distance_stories(N)
    rows: dict[str, dict[str, Estimate]] = {row: {} for row in pool.rows}
    if not side:
        return rows
    reference = pool.rows["real_frames"][:side]
    shown = {row: index[N // 2 : N // 2 + side] for row, index in pool.rows.items()}
    needed, where = np.unique(np.stack([reference, *shown.values()]), return_inverse=True)
    where = where.reshape(-1, *reference.shape)
    features = {} if recognized is None else {"classifier": recognized[needed]}
    features |= {name: extract(make(), pool.frames[needed], name) for name, make in installed().items()}
    for name, known in features.items():
        for row, index in zip(shown, where[1:], strict=True):
            rows[row][f"kid_{name}"] = kid(known[index], known[where[0]], seed)
            rows[row][f"fid_{name}"] = fid(known[index], known[where[0]], seed)
    return rows


VARIETY_STORIES = 50
"""At most so many stories are drawn over and over."""
VARIETY_NOTE = f"diversity, change: the first {VARIETY_STORIES} stories, where there are as many"
Line = dict[str, Estimate | None]


@dataclass(frozen=True)
class Measured:
    """What was found in the frames of N stories, by row: real frames, the trivial rows, and what was drawn."""

    pool: FramePool
    read: dict[str, dict[str, PerStory]]
    """What a classifier reads, story by story, by row and metric; all are better when larger. Empty without one."""
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
    classifier: str | Path | None = None,
) -> Measured:
    """Measure drawings of a data set's N stories.

    Args:
        dataset: the stories, with their real frames.
        data: folder of the data set, whose training split's mean image is a row.
        drawn: by row, uint8 frames (N, T, H, W, 3), or the name of a trivial row to stand for them.
        seed: of the bootstrap.
        classifier: folder of one; else a shipped one that knows the stories.

    Raises:
        UsageError: the drawings do not fit the real frames, there are fewer than 2 stories, or the classifier named
            knows nothing of them.
        StoryganError: the data or the classifier cannot be read.
    """
    known = labelled_frames_if_any(dataset)
    judge = find_classifier(known, classifier)
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
    return model.sample(S, Noise.sample(len(S), model.config, seeded(seed)))


def _averaged(data: str | Path, dataset: StoryDataset) -> tuple[StoryDataset, str]:
    """Whose mean image is a row, and in words: the training split's if one fits, else that of the stories at hand."""
    if "train" in splits(data):
        train = open_split(data, "train")
        if train.size == dataset.size:
            return train, "the training split"
    return dataset, "the very frames that it is compared with: there is no training split of this size"


def _notes(N: int, judge: AttributeClassifier, places: bool, labels: bool) -> list[str]:
    about = judge.about
    notes = [f"in brackets: 95% interval over stories ({RESAMPLES} bootstrap resamples)"]
    if places or labels:
        trained = f"trained on {about.get('stories')} stories of {about.get('data')}, split {about.get('split')}"
        notes.append(f"classifier {trained}; the row of real frames shows where it errs")
    else:
        notes.append("no classifier for these stories: train one (storygan train-classifier), name it (--classifier)")
    if places:
        notes.append(
            f"no_false_positives: no object at floor places {GRID_STEP} apart, at least "
            f"{SAFE_DISTANCE} from what has been told"
        )
    if side := distance_stories(N):
        notes.append(f"kid, fid: {side} stories of the second half against the real frames of {side} of the first half")
    else:
        notes.append(f"no kid, no fid: they need {2 * FEWEST} stories")
    return notes
