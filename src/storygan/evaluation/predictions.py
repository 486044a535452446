"""The classifier over a pool of frames: every frame goes through the network once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from storygan.data.clevr.locations import empty_locations, floor_grid, image_coordinates, parse_objects
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.metrics import ObjectPredictions
from storygan.models.attribute_classifier import (
    N_FEATURES,
    PRESENT_THRESHOLD,
    AttributeClassifier,
    Prediction,
    predict_objects,
)

BATCH = 32
"""Frames that go through the network at a time: more no longer fit the cache, and take half as long again."""


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of a pool."""

    labels: np.ndarray
    """(M, K) bool."""
    features: np.ndarray
    """(M, F) float32."""
    seen: dict[str, ObjectPredictions]
    """By row; empty where the stories are not told in CLEVR-SV sentences."""


def look(classifier: AttributeClassifier, pool: FramePool, stories: Sequence[Sequence[str]] | None) -> Predictions:
    """Look at all frames of a pool, and, where N CLEVR-SV stories are given, at their objects' places.

    Raises:
        UsageError: where a sentence is not of the CLEVR-SV grammar.
    """
    M = len(pool.frames)
    labels, features = np.empty((M, len(classifier.labels)), bool), np.empty((M, N_FEATURES), np.float32)
    questions = Questions(pool, stories) if stories is not None else None
    for start in tqdm(range(0, M, BATCH), desc="recognize", unit="batch", disable=None):
        part = slice(start, min(start + BATCH, M))
        maps, probabilities, features[part] = classifier.predict(pool.frames[part])
        labels[part] = probabilities > 0.5
        if questions is None:
            continue
        for row, n, t in questions.about(part):
            questions.answer(row, n, t, predict_objects(maps[pool.rows[row][n, t] - start], questions.places[n]))
    return Predictions(labels, features, questions.seen if questions else {})


class Questions:
    """Which frames of a pool are asked about which places, and what has been answered.

    `places` (N, T + G, 2): in the picture, those of a story's T sentences and the G of the floor's grid.
    """

    def __init__(self, pool: FramePool, stories: Sequence[Sequence[str]]) -> None:
        self.words, floor = parse_objects(stories)
        N, self.T = floor.shape[:2]
        grid = floor_grid()
        self.safe = empty_locations(grid, floor)  # (N, T, G)
        self.places = image_coordinates(np.concatenate([floor, np.broadcast_to(grid, (N, *grid.shape))], 1))
        self.rows = pool.rows
        T = self.T
        self.seen = {
            row: ObjectPredictions(
                there=np.zeros((N, T, T), bool),
                words=np.zeros((N, T, T, 4), np.int8),
                right=np.zeros((N, T, T, 4), bool),
                extra=np.zeros((N, T), np.int32),
            )
            for row in pool.rows
        }

    def about(self, frames: slice) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Of each row, the stories n and frames t that show some of these frames of the pool, a batch at a time."""
        found = []
        for row, index in self.rows.items():
            n, t = np.nonzero((index >= frames.start) & (index < frames.stop))
            found += [(row, n[k : k + BATCH], t[k : k + BATCH]) for k in range(0, len(n), BATCH)]
        return found

    def answer(self, row: str, n: np.ndarray, t: np.ndarray, reading: Prediction) -> None:
        """Keep what was read in frames t of stories n."""
        there, T, seen = reading.present >= PRESENT_THRESHOLD, self.T, self.seen[row]
        seen.there[n, t] = there[:, :T]
        seen.words[n, t] = reading.attributes[:, :T]
        seen.right[n, t] = reading.attributes[:, :T] == self.words[n]
        seen.extra[n, t] = (there[:, T:] & self.safe[n, t]).sum(1)
