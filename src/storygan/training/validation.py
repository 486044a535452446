"""Validation metrics on held-out stories during training."""

from __future__ import annotations

import numpy as np

from storygan.config import TrainConfig
from storygan.data.dataset import open_split
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.distances import distances, feature_extractors, stories_per_side
from storygan.evaluation.labelled_frames import find_classifiers, labelled_frames_if_any
from storygan.evaluation.measure import classify
from storygan.evaluation.metrics import ObjectPredictions, label_metrics, object_metrics
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.storygan import StoryGAN


class Validation:
    """Evaluate a model on the first stories of a split, with the shipped evaluation classifier.

    Raises:
        UsageError: `validation.metric` does not exist for these stories.
        StoryganError: the data set has no such split, or its stories have another number of frames.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.settings, self.seed = config.validation, config.seed
        dataset = open_split(config.data.path, self.settings.split)
        if dataset.T != config.model.T:
            raise StoryganError(f"validation: the stories of {self.settings.split} have {dataset.T} frames")
        self.dataset = dataset.subset(range(min(self.settings.stories, len(dataset))))
        self.truth = labelled_frames_if_any(self.dataset)
        self.classifier = find_classifiers(self.truth)[0]
        self.locations, self.labels = self.truth.supported_by(self.classifier) if self.truth else (False, False)
        if self.settings.metric not in (names := self._names(len(self.dataset), dataset.T)):
            known = ", ".join(names) or "none: there are too few"
            raise UsageError(f"validation.metric is {self.settings.metric}: for these stories there is {known}")

    def _names(self, N: int, T: int) -> list[str]:
        """Return the names of the metrics that exist for these stories."""
        names: list[str] = []
        if self.locations:
            nothing = np.zeros((1, T, T, 4), bool)
            names += object_metrics(ObjectPredictions(nothing[..., 0], nothing, nothing, nothing[:, :, 0, 0]))
        if self.labels and self.truth:
            labels = self.truth.labels.astype(bool)
            names += label_metrics(labels, labels, self.truth.label_names)
        return names + [
            f"{name}_{network}" for name in ("kid", "fid") for network in feature_extractors() if stories_per_side(N)
        ]

    def __call__(self, model: StoryGAN) -> dict[str, float]:
        """Return the metrics by the names of `storygan evaluate`: those of the classifier, and KID and FID."""
        real, sentences = self.dataset.frames, self.dataset.sentences
        N, T = real.shape[:2]
        generated = fuse_batch_norm(model).generate_dataset(sentences, seed=self.seed)
        rows = np.arange(2 * N * T).reshape(2, N, T)
        frames = np.concatenate([real, generated]).reshape(-1, *real.shape[2:])
        pool = FramePool(frames, {"real_frames": rows[0], "model": rows[1]})
        _, found = classify(self.classifier, pool, self.truth, sentences)
        values = {name: metric.value for name, metric in found["model"].items()}
        return values | {name: value.mean for name, value in distances(pool, None, self.seed)["model"].items()}
