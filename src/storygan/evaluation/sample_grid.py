"""Samples of an evaluation chosen by rank, not by eye: from the best story to the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from storygan.evaluation.bootstrap import PerStory
from storygan.viz import Row

RANKS = {"best": 0.0, "75th percentile": 0.25, "median": 0.5, "25th percentile": 0.75, "worst": 1.0}
"""Title -> share of the stories that are better."""
RANKED_BY = ("object_accuracy", "story_consistency", "label_exact_match", "psnr_01")
"""Metrics that rank the stories; later ones break ties."""


def rank_stories(metrics: Mapping[str, PerStory]) -> np.ndarray:
    """Return story indices from best to worst, (N,) int64, by those of RANKED_BY that were measured."""
    measured = [metrics[name] for name in RANKED_BY if name in metrics]
    keys = [-metric.total / np.maximum(metric.weight, 1e-9) for metric in measured]
    return np.lexsort(keys[::-1])


def build_sample_grid(
    metrics: Mapping[str, PerStory], real: np.ndarray, X_hat: np.ndarray, stories: Sequence[Sequence[str]]
) -> list[Row]:
    """Return two rows for the story at each of RANKS: real frames, and generated ones with their sentences.

    Args:
        metrics: of the generated frames, by name, for N stories.
        real: (N, T, H, W, 3) uint8.
        X_hat: generated frames of the same shape.
        stories: N stories of T sentences.
    """
    order = rank_stories(metrics)
    rows = []
    for title, share in RANKS.items():
        n = int(order[round(share * (len(order) - 1))])
        rows += [Row(f"{title}: real", real[n]), Row(f"{title}: generated", X_hat[n], stories[n])]
    return rows
