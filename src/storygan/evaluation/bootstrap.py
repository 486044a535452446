"""Means over stories with 95% bootstrap intervals.

A metric is two numbers a story, a total and a weight. Its value is the ratio of their sums over stories, which covers
means over frames, means over objects, and F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000


class PerStory(NamedTuple):
    """A metric of N stories: its value is `total.sum() / weight.sum()`."""

    total: np.ndarray
    """(N,) float."""
    weight: np.ndarray
    """(N,) float >= 0; the metric is undefined for a story of weight 0."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval, and the number of stories for which it is defined."""

    mean: float
    low: float
    high: float
    stories: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


Metrics = dict[str, Estimate | None]
"""By name; None if the metric is undefined for all stories."""


def per_story(values: np.ndarray) -> PerStory:
    """Return the sums and weights of equally weighted values (N, ...)."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    return PerStory(flat.sum(1), np.full(len(flat), float(flat.shape[1])))


def concatenate(parts: Sequence[PerStory]) -> PerStory:
    """Concatenate the stories of several parts."""
    return PerStory(np.concatenate([part.total for part in parts]), np.concatenate([part.weight for part in parts]))


@lru_cache(maxsize=4)
def resample_counts(N: int, seed: int) -> np.ndarray:
    """Return how often each resample with replacement has each of N stories: (RESAMPLES, N) float64, read-only."""
    counts = np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=RESAMPLES).astype(np.float64)
    counts.flags.writeable = False
    return counts


def estimate(metric: PerStory, seed: int) -> Estimate | None:
    """Return the value with its 95% percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    Return None if the metric is undefined for all stories.
    """
    stories = int((metric.weight > 0).sum())
    if not stories:
        return None
    counts = resample_counts(len(metric.total), seed)
    totals, weights = counts @ metric.total, counts @ metric.weight
    low, high = np.percentile(totals[weights > 0] / weights[weights > 0], [2.5, 97.5])
    return Estimate(float(metric.total.sum() / metric.weight.sum()), float(low), float(high), stories)


def estimates(metrics: dict[str, PerStory], seed: int) -> dict[str, Estimate | None]:
    """Return the `estimate` of each metric, by name."""
    return {name: estimate(metric, seed) for name, metric in metrics.items()}


def paired_difference(a: PerStory, b: PerStory, seed: int) -> Estimate | None:
    """Return the value of `a` minus that of `b` on the same N stories, with its 95% paired bootstrap interval.

    Each resample is used for both metrics (Efron and Tibshirani, 1993, chapters 8 and 13). Return None if one of them
    is undefined for all stories.
    """
    stories = min(int((metric.weight > 0).sum()) for metric in (a, b))
    if not stories:
        return None
    counts = resample_counts(len(a.total), seed)
    weights = [counts @ metric.weight for metric in (a, b)]
    defined = (weights[0] > 0) & (weights[1] > 0)
    values = [(counts @ metric.total)[defined] / w[defined] for metric, w in zip((a, b), weights, strict=True)]
    low, high = np.percentile(values[0] - values[1], [2.5, 97.5])
    mean = a.total.sum() / a.weight.sum() - b.total.sum() / b.weight.sum()
    return Estimate(float(mean), float(low), float(high), stories)
