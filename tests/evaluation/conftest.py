"""The test stories of the sample, the shipped classifier, and a function that measures any frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from storygan.data.dataset import StoryDataset, open_split
from storygan.evaluation.baselines import MODEL, FramePool
from storygan.evaluation.labelled_frames import LabelledFrames
from storygan.evaluation.metrics import label_metrics, object_metrics, pixel_metrics
from storygan.evaluation.predictions import predict
from storygan.models.attribute_classifier import AttributeClassifier

Measure = Callable[[np.ndarray, list[list[str]]], dict[str, float]]


@pytest.fixture(scope="session")
def stories(sample: Path) -> StoryDataset:
    """The 16 test stories."""
    return open_split(sample, "test")


@pytest.fixture(scope="session")
def classifier() -> AttributeClassifier:
    """The shipped classifier for CLEVR-SV."""
    return AttributeClassifier.load()


@pytest.fixture(scope="session")
def measure(stories: StoryDataset, classifier: AttributeClassifier) -> Measure:
    """Return the metrics of frames (16, 4, 64, 64, 3) against the real ones, given their sentences."""
    labels = LabelledFrames.from_dataset(stories).labels.astype(bool)
    real = stories.batch(range(len(stories)))

    def values(frames: np.ndarray, sentences: list[list[str]]) -> dict[str, float]:
        index = np.arange(labels.shape[0] * labels.shape[1]).reshape(labels.shape[:2])
        predictions = predict(classifier, FramePool(frames.reshape(-1, *frames.shape[2:]), {MODEL: index}), sentences)
        metrics = {
            **object_metrics(predictions.objects[MODEL]),
            **label_metrics(predictions.labels[index], labels, classifier.labels),
            **pixel_metrics(frames, real),
        }
        return {name: float(metric.total.sum() / metric.weight.sum()) for name, metric in metrics.items()}

    return values
