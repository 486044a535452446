"""Predictions of the evaluation classifier for all frames of a pool: labels, features, and objects at locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from storygan.data.clevr.locations import empty_locations, floor_grid, image_coordinates, parse_objects
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.metrics import ObjectPredictions
from storygan.models.attribute_classifier import N_FEATURES, PRESENT_THRESHOLD, AttributeClassifier, predict_objects
from storygan.progress import tqdm

BATCH = 32
"""Frames a batch; larger batches exceed the CPU cache and are slower."""


@dataclass(frozen=True)
class Predictions:
    """The classifier's output for a pool of M frames."""

    labels: np.ndarray
    """(M, K) bool."""
    features: np.ndarray
    """(M, F) float32."""
    objects: dict[str, ObjectPredictions]
    """By method; empty without CLEVR-SV stories."""


def predict(classifier: AttributeClassifier, pool: FramePool, stories: Sequence[Sequence[str]] | None) -> Predictions:
    """Classify all frames of a pool and, given N CLEVR-SV stories, the locations of their objects.

    Raises:
        UsageError: a sentence is not in the CLEVR-SV grammar.
    """
    M = len(pool.frames)
    labels, features = np.empty((M, len(classifier.labels)), bool), np.empty((M, N_FEATURES), np.float32)
    objects = ObjectLocations(pool, stories) if stories is not None else None
    for start in tqdm(range(0, M, BATCH), desc="classify", unit="batch"):
        part = slice(start, min(start + BATCH, M))
        maps, probabilities, features[part] = classifier.predict(pool.frames[part])
        labels[part] = probabilities > 0.5
        if objects is not None:
            objects.predict(maps, part)
    return Predictions(labels, features, objects.predictions if objects else {})


class ObjectLocations:
    """The locations that N stories ask for, and the predictions there.

    Each frame of a story is classified at T + G locations: of its T sentences, and of the G points of the floor grid.
    """

    def __init__(self, pool: FramePool, stories: Sequence[Sequence[str]]) -> None:
        self.attributes, positions = parse_objects(stories)  # (N, T, 4), (N, T, 2)
        N, T = positions.shape[:2]
        grid = floor_grid()
        self.empty = empty_locations(grid, positions)  # (N, T, G) bool, no object should be there
        self.locations = image_coordinates(np.concatenate([positions, np.broadcast_to(grid, (N, *grid.shape))], 1))
        self.index = pool.index
        self.predictions = {
            method: ObjectPredictions(
                present=np.zeros((N, T, T), bool),
                attributes=np.zeros((N, T, T, 4), np.int8),
                correct=np.zeros((N, T, T, 4), bool),
                false_positives=np.zeros((N, T), np.int32),
            )
            for method in pool.index
        }

    def predict(self, maps: Tensor, part: slice) -> None:
        """Store the predictions for all stories that show a frame of `part` of the pool, given its maps."""
        T = self.attributes.shape[1]
        for method, index in self.index.items():
            shown = np.nonzero((index >= part.start) & (index < part.stop))
            for k in range(0, len(shown[0]), BATCH):
                n, t = (idx[k : k + BATCH] for idx in shown)
                predicted, stored = (
                    predict_objects(maps[index[n, t] - part.start], self.locations[n]),
                    self.predictions[method],
                )
                present = predicted.present >= PRESENT_THRESHOLD
                stored.present[n, t] = present[:, :T]
                stored.attributes[n, t] = predicted.attributes[:, :T]
                stored.correct[n, t] = predicted.attributes[:, :T] == self.attributes[n]
                stored.false_positives[n, t] = (present[:, T:] & self.empty[n, t]).sum(1)
