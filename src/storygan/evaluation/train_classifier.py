"""`storygan train-classifier` and `check-classifier`: training and accuracy of the evaluation classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from storygan.config import AuxClassifierLoss
from storygan.data.clevr.locations import empty_locations, floor_grid
from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import UsageError, require_seed, require_whole
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.labelled_frames import LabelledFrames, augment, classifier_terms, find_classifiers, to_images
from storygan.evaluation.metrics import ObjectPredictions, label_metrics
from storygan.evaluation.predictions import predict
from storygan.models.attribute_classifier import Architecture, AttributeClassifier
from storygan.models.devices import find_device
from storygan.models.frame_network import FrameNetwork
from storygan.progress import tqdm
from storygan.text.clevr import ATTRIBUTES

LOSS = AuxClassifierLoss(label=1, present=1, attributes=1)
Network = TypeVar("Network", bound=FrameNetwork)
Losses = Callable[[np.ndarray, np.random.Generator, torch.device], dict[str, Tensor]]
"""Indices of a batch of stories (B,) -> the terms of the loss by name."""
Build = Callable[[StoryDataset, dict[str, Any]], tuple[Network, Losses]]
"""The data set, and `about` of the network -> the network with its losses."""


def train_classifier(
    data: str | Path,
    split: str = "train",
    epochs: int = 16,
    batch_size: int = 16,
    lr: float = 2e-3,
    seed: int = 0,
    architecture: Architecture = "plain",
    device: str = "cpu",
) -> AttributeClassifier:
    """Train a classifier on the real frames of a split: of labels and, with CLEVR-SV sentences, of objects.

    An epoch shows one frame of each story, frame t (from 1) with probability proportional to t^2.

    Raises:
        UsageError: the data set has no labels, or fewer stories than a batch, `epochs` is out of range, or there is no
            such device.
    """

    def build(dataset: StoryDataset, about: dict[str, Any]) -> tuple[AttributeClassifier, Losses]:
        truth = LabelledFrames.from_dataset(dataset)
        about["locations"] = truth.has_locations
        classifier = AttributeClassifier(truth.label_names, about, False, architecture)
        weights = np.arange(1.0, dataset.T + 1) ** 2  # later frames show more objects

        def losses(story_idx: np.ndarray, rng: np.random.Generator, on: torch.device) -> dict[str, Tensor]:
            frame_idx = rng.choice(dataset.T, len(story_idx), p=weights / weights.sum())[:, None]
            X = to_images(np.array(dataset.frames[story_idx[:, None], frame_idx]))
            x, targets = augment(X, truth.targets(story_idx, frame_idx, rng), rng)
            return classifier_terms(classifier, x.flatten(0, 1).to(on), targets.to(on), LOSS)

        return classifier, losses

    return fit(build, data, split, epochs, batch_size, lr, seed, device)


def fit(
    build: Build[Network], data: str | Path, split: str, epochs: int, batch_size: int, lr: float, seed: int, device: str
) -> Network:
    """Train a network on the real frames of a split. Arguments and errors are those of `train_classifier`."""
    on = find_device(device)
    require_seed(seed)
    require_whole("epochs", epochs, 1, 10_000)
    torch.set_flush_denormal(True)
    dataset = open_split(data, split)
    N, rng = len(dataset), np.random.default_rng(seed)
    torch.manual_seed(seed)
    about = {"data": Path(data).resolve().name, "split": split, "stories": N, "epochs": epochs, "seed": seed}
    network, losses = build(dataset, about)
    if batch_size > N:
        raise UsageError(f"a batch is {batch_size} stories, but {data} has {N}: give more stories")
    network = network.train().to(on, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-3)
    batches = N // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=epochs * batches)
    with tqdm(total=epochs * batches, desc=network.name, unit="batch") as bar:
        for _ in range(epochs):
            for story_idx in rng.permutation(N)[: batches * batch_size].reshape(batches, batch_size):
                terms = losses(story_idx, rng, on)
                adam.zero_grad(set_to_none=True)
                sum(terms.values(), torch.zeros(())).backward()
                adam.step()
                schedule.step()
                bar.update()
                bar.set_postfix({name: f"{term.item():.3f}" for name, term in terms.items()})
    return network.eval().cpu()


@dataclass(frozen=True)
class ClassifierReport:
    """A classifier's accuracy on the real frames of a split."""

    data: str
    stories: int
    metrics: dict[str, float]
    """By name, in [0, 1]."""
    confusion: dict[str, np.ndarray]
    """By attribute: counts (true, predicted) over all objects that the frames show."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {**vars(self), "confusion": {name: counts.tolist() for name, counts in self.confusion.items()}}

    def __str__(self) -> str:
        lines = [f"{self.stories} stories of {self.data}, real frames"]
        width = max(map(len, self.metrics)) + 2
        lines += [f"{name:<{width}}{value:.4f}" for name, value in self.metrics.items()]
        for name, counts in self.confusion.items():
            options = ATTRIBUTES[name]
            lines += ["", f"{name}: rows true, columns predicted", " " * 10 + "".join(f"{o:>9}" for o in options)]
            lines += [f"{o:<10}" + "".join(f"{n:>9}" for n in row) for o, row in zip(options, counts, strict=True)]
        return "\n".join(lines)


def check_classifier(
    classifier: AttributeClassifier | None, data: str | Path, split: str = "test", device: str = "cpu"
) -> ClassifierReport:
    """Measure a classifier on the real frames of a split; None: the shipped one that fits the data.

    Metrics of objects count every object that a frame shows: `present` at its location; `size`, `colour`, `material`,
    `shape` correct; `all_correct`, present with all four correct. Metrics of empty floor count locations of
    `floor_grid` far from all objects: `empty_location`, none predicted; `empty_frame`, none at any of a frame. Metrics
    of labels are those of `label_metrics`.

    Raises:
        UsageError: the classifier predicts nothing that the data set has.
    """
    dataset = open_split(data, split)
    truth = LabelledFrames.from_dataset(dataset)
    classifier = (classifier or find_classifiers(truth)[0]).to(find_device(device))
    locations, labels = truth.supported_by(classifier)
    if not locations and not labels:
        raise UsageError(f"{data} has neither the labels nor the kind of sentences that this classifier knows")
    N, T = truth.labels.shape[:2]
    frames = np.array(truth.frames).reshape(-1, *truth.frames.shape[2:])
    pool = FramePool(frames, {"real_frames": np.arange(N * T).reshape(N, T)})
    predictions = predict(classifier, pool, dataset.sentences if locations else None)
    metrics, confusion = _check_objects(truth, predictions.objects["real_frames"]) if locations else ({}, {})
    if labels:
        predicted = predictions.labels.reshape(N, T, -1)
        found = label_metrics(predicted, truth.labels.astype(bool), truth.label_names)
        metrics |= {name: metric.value for name, metric in found.items() if metric.weight.any()}
    return ClassifierReport(f"{Path(data).name}, split {split}", N, metrics, confusion)


def _check_objects(
    truth: LabelledFrames, predictions: ObjectPredictions
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the metrics and confusion matrices of objects."""
    assert truth.attributes is not None
    assert truth.positions is not None
    N, T = predictions.present.shape[:2]
    shown = np.broadcast_to(np.tril(np.ones((T, T), bool)), (N, T, T))  # frame t shows objects j <= t
    attributes = np.broadcast_to(truth.attributes[:, None], (N, T, T, 4))[shown]
    correct, false_positives = predictions.correct[shown], predictions.false_positives
    metrics = {"present": predictions.present[shown].mean(), "all_correct": predictions.accurate[shown].mean()}
    metrics |= {name: correct[:, k].mean() for k, name in enumerate(ATTRIBUTES)}
    metrics["empty_location"] = 1 - false_positives.sum() / empty_locations(floor_grid(), truth.positions).sum()
    metrics["empty_frame"] = (false_positives == 0).mean()
    confusion = {name: np.zeros((len(options), len(options)), int) for name, options in ATTRIBUTES.items()}
    for k, counts in enumerate(confusion.values()):
        np.add.at(counts, (attributes[:, k], predictions.attributes[shown][:, k]), 1)
    return {name: float(value) for name, value in metrics.items()}, confusion
