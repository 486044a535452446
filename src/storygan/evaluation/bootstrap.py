"""Means over stories with 95% bootstrap intervals.

A metric is two numbers a story, a total and a weight. Its value is the ratio of their sums over stories, which covers
means over frames, means over objects, and F1.

A model trained with several seeds has a metric of each run. Its value is their mean; a resample takes runs with
replacement, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    @property
    def value(self) -> float:
        """The value over all stories; 0 if it is undefined for all."""
        return float(self.total.sum() / max(self.weight.sum(), 1e-9))


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


Runs = PerStory | Sequence[PerStory]
"""A metric of one run, or of several, on the same stories."""


def _each(runs: Runs) -> Sequence[PerStory]:
    return [runs] if isinstance(runs, PerStory) else runs


def _defined(*metrics: PerStory) -> int:
    """Return the number of stories for which all metrics are defined, at least."""
    return min(int((metric.weight > 0).sum()) for metric in metrics)


def _mean(runs: Sequence[PerStory]) -> float:
    return float(np.mean([run.value for run in runs]))


def _resample(runs: Sequence[PerStory], seed: int, first: int = 0) -> np.ndarray:
    """Return the value in each resample, (RESAMPLES,), NaN where undefined.

    All metrics of a table have the same resamples of stories; those with another `first` have other ones of runs.
    """
    counts = resample_counts(len(runs[0].total), seed)
    with np.errstate(invalid="ignore"):
        values = np.stack([(counts @ run.total) / (counts @ run.weight) for run in runs])
    sampled = np.random.default_rng((seed, first)).integers(len(runs), size=values.shape)
    return np.take_along_axis(values, sampled, axis=0).mean(0)


def _interval(value: float, resampled: np.ndarray, stories: int) -> Estimate:
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Estimate(value, float(low), float(high), stories)


def estimate(metric: Runs, seed: int) -> Estimate | None:
    """Return the value with its 95% percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    Return None if the metric is undefined for all stories.
    """
    runs = _each(metric)
    if not (stories := _defined(*runs)):
        return None
    return _interval(_mean(runs), _resample(runs, seed), stories)


def estimates(metrics: Mapping[str, Runs], seed: int) -> dict[str, Estimate | None]:
    """Return the `estimate` of each metric, by name."""
    return {name: estimate(metric, seed) for name, metric in metrics.items()}


def paired_difference(a: Runs, b: Runs, seed: int) -> Estimate | None:
    """Return the value of `a` minus that of `b` on the same N stories, with its 95% paired bootstrap interval.

    Each resample of stories is used for both metrics (Efron and Tibshirani, 1993, chapters 8 and 13); runs are sampled
    for each. Return None if one of them is undefined for all stories.
    """
    a, b = _each(a), _each(b)
    if not (stories := _defined(*a, *b)):
        return None
    return _interval(_mean(a) - _mean(b), _resample(a, seed) - _resample(b, seed, 1), stories)
