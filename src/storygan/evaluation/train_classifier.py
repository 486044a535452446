"""Training of the evaluation classifier on the real frames of a data set: of whole frames' labels, and, of CLEVR-SV
stories, of objects at locations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from storygan.config import AuxClassifierLoss
from storygan.data.clevr.locations import empty_locations, floor_grid
from storygan.data.dataset import open_split
from storygan.errors import UsageError, require_seed, require_whole
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.labelled_frames import (
    FrameContent,
    LabelledFrames,
    augment,
    classifier_terms,
    find_classifier,
    labelled_frames,
    to_images,
)
from storygan.evaluation.measure import label_metrics
from storygan.evaluation.metrics import ObjectPredictions
from storygan.evaluation.predictions import look
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.text.clevr import ATTRIBUTES

WEIGHTS = AuxClassifierLoss(label=1, present=1, attributes=1)


def train_classifier(
    data: str | Path, split: str = "train", epochs: int = 16, batch_size: int = 16, lr: float = 2e-3, seed: int = 0
) -> AttributeClassifier:
    """Train a classifier on a split; an epoch shows one frame of each story, later ones more often.

    Raises:
        UsageError: there is nothing to classify, there are fewer stories than a batch, or no epoch.
    """
    require_seed(seed)
    require_whole("epochs", epochs, 1, 10_000)
    torch.set_flush_denormal(True)
    dataset = open_split(data, split)
    content = FrameContent(dataset)
    N, T = len(dataset), dataset.T
    if batch_size > N:
        raise UsageError(f"a batch is {batch_size} stories, but {data} has {N}: give more stories")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    about = {"data": Path(data).resolve().name, "split": split, "stories": N, "epochs": epochs, "seed": seed}
    classifier = AttributeClassifier(content.known.label_names, {**about, "locations": content.has_locations})
    classifier = classifier.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(classifier.parameters(), lr=lr, weight_decay=1e-3)
    batches = N // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=epochs * batches)
    late = np.arange(1.0, T + 1) ** 2  # later frames show more objects
    with tqdm(total=epochs * batches, desc="classifier", unit="batch", disable=None) as bar:
        for _ in range(epochs):
            for n in rng.permutation(N)[: batches * batch_size].reshape(batches, batch_size):
                t = rng.choice(T, batch_size, p=late / late.sum())[:, None]
                X = to_images(np.array(dataset.frames[n[:, None], t]))
                x, targets = augment(X, content.targets(n, t, rng), rng)
                losses = classifier_terms(classifier, x.flatten(0, 1), targets, WEIGHTS)
                adam.zero_grad(set_to_none=True)
                sum(losses.values(), torch.zeros(())).backward()
                adam.step()
                schedule.step()
                bar.update()
                bar.set_postfix({name: f"{loss.item():.3f}" for name, loss in losses.items()})
    return classifier.eval()


REAL = "real_frames"


@dataclass(frozen=True)
class Accuracy:
    """What a classifier makes of the real frames of a split."""

    data: str
    stories: int
    values: dict[str, float]
    """By name: shares in [0, 1]."""
    confusion: dict[str, np.ndarray]
    """By attribute, (told, read) counts over all objects that the frames show."""

    def to_dict(self) -> dict[str, Any]:
        tables = {name: counts.tolist() for name, counts in self.confusion.items()}
        return {"data": self.data, "stories": self.stories, "values": self.values, "confusion": tables}

    def __str__(self) -> str:
        lines = [f"{self.stories} stories of {self.data}, real frames"]
        lines += [f"{name:<29}{value:.4f}" for name, value in self.values.items()]
        for name, counts in self.confusion.items():
            options = ATTRIBUTES[name]
            lines += ["", f"{name}: told in rows, read in columns", " " * 10 + "".join(f"{o:>9}" for o in options)]
            lines += [f"{o:<10}" + "".join(f"{n:>9}" for n in line) for o, line in zip(options, counts, strict=True)]
        return "\n".join(lines)


def check_classifier(classifier: AttributeClassifier | None, data: str | Path, split: str = "test") -> Accuracy:
    """Compare what a classifier (None: a shipped one that knows the data) reads in real frames with what is true.

    Values: `there`: objects that are found at their place; `size`, `colour`, `material`, `shape`: objects for which it
    reads the right one; `all_right`: objects found with all four right; `empty_place`: places of the floor's grid, far
    from all objects, where it finds none; `empty_frame`: frames in which it finds none at any of them; those of labels:
    see `label_metrics`.

    Raises:
        UsageError: where the data set has nothing that this classifier recognizes.
    """
    dataset = open_split(data, split)
    known = labelled_frames(dataset)
    classifier = classifier or find_classifier(known)
    places, named = known.read_by(classifier)
    if not places and not named:
        raise UsageError(f"{data} has neither the labels nor the kind of sentences that this classifier knows")
    N, T = known.labels.shape[:2]
    frames = np.array(known.frames).reshape(-1, *known.frames.shape[2:])
    pool = FramePool(frames, {REAL: np.arange(N * T).reshape(N, T)})
    looked = look(classifier, pool, dataset.sentences if places else None)
    values, confusion = _of_places(known, looked.seen[REAL]) if places else ({}, {})
    if named:
        found = looked.labels.reshape(N, T, -1)
        for name, (total, count) in label_metrics(found, known.labels.astype(bool), known.label_names).items():
            if count.any():
                values[name] = float(total.sum() / count.sum())
    return Accuracy(f"{Path(data).name}, split {split}", N, values, confusion)


def _of_places(known: LabelledFrames, seen: ObjectPredictions) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The values and the confusion of what was read at places."""
    assert known.words is not None
    assert known.floor is not None
    N, T = seen.there.shape[:2]
    shown = np.broadcast_to(np.tril(np.ones((T, T), bool)), (N, T, T))  # in frame t, object j <= t
    told, words = np.broadcast_to(known.words[:, None], (N, T, T, 4))[shown], seen.words[shown]
    there, right = seen.there[shown], seen.right[shown]
    shares = {"there": there, "all_right": there & right.all(1)}
    shares |= {name: right[:, k] for k, name in enumerate(ATTRIBUTES)}
    values = {name: float(share.mean()) for name, share in shares.items()}
    values["empty_place"] = float(1 - seen.extra.sum() / empty_locations(floor_grid(), known.floor).sum())
    values["empty_frame"] = float((seen.extra == 0).mean())
    confusion = {name: np.zeros((len(options), len(options)), int) for name, options in ATTRIBUTES.items()}
    for k, counts in enumerate(confusion.values()):
        np.add.at(counts, (told[:, k], words[:, k]), 1)
    return values, confusion
