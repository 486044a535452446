"""The sample that ships with the package, the shipped classifier, and a way to ask it about any frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from storygan.data.dataset import StoryDataset, open_split
from storygan.data.sample import write_sample
from storygan.evaluation.baselines import MODEL, FramePool
from storygan.evaluation.labelled_frames import labelled_frames
from storygan.evaluation.measure import label_metrics, object_metrics, pixel_metrics
from storygan.evaluation.predictions import look
from storygan.models.attribute_classifier import AttributeClassifier

Measure = Callable[[np.ndarray, list[list[str]]], dict[str, float]]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 training stories, 16 test stories; the classifier has not seen the latter."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def stories(sample: Path) -> StoryDataset:
    """The 16 test stories."""
    return open_split(sample, "test")


@pytest.fixture(scope="session")
def classifier() -> AttributeClassifier:
    """The shipped one."""
    return AttributeClassifier.load()


@pytest.fixture(scope="session")
def measure(stories: StoryDataset, classifier: AttributeClassifier) -> Measure:
    """What the metrics say of frames (16, 4, 64, 64, 3) in place of the real ones, told by these sentences."""
    labels = labelled_frames(stories).labels.astype(bool)
    real = stories.batch(range(len(stories)))

    def values(frames: np.ndarray, sentences: list[list[str]]) -> dict[str, float]:
        index = np.arange(labels.shape[0] * labels.shape[1]).reshape(labels.shape[:2])
        flat = [each.reshape(-1, *each.shape[2:]) for each in (frames, real)]
        pool = FramePool(np.concatenate(flat), {MODEL: index, "real_frames": index + index.size})
        looked = look(classifier, pool, sentences)
        found = {
            **object_metrics(looked.seen[MODEL]),
            **label_metrics(looked.labels[index], labels, classifier.labels),
            **pixel_metrics(pool, MODEL),
        }
        return {name: float(metric.total.sum() / metric.weight.sum()) for name, metric in found.items()}

    return values
