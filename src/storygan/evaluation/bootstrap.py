"""Means over stories with intervals. Every metric comes as two numbers a story, a sum and what it is a sum over: the
value over stories is the ratio of the totals, which covers means over frames, over objects, and F1 alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000


class PerStory(NamedTuple):
    """A metric, story by story: `total` / `weight` is its value; a weight of 0 is a story without a say."""

    total: np.ndarray
    """(N,) float."""
    weight: np.ndarray
    """(N,) float, 0 or more."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95% interval over stories."""

    mean: float
    low: float
    high: float
    stories: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def per_story(values: np.ndarray) -> PerStory:
    """Values (N, ...) of N stories, all of one weight -> their sums and weights."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    return PerStory(flat.sum(1), np.full(len(flat), float(flat.shape[1])))


def join(parts: list[PerStory]) -> PerStory:
    """The stories of several parts, one after the other."""
    return PerStory(np.concatenate([part.total for part in parts]), np.concatenate([part.weight for part in parts]))


@lru_cache(maxsize=4)
def resamples(N: int, seed: int) -> np.ndarray:
    """How often each of N stories is drawn in each resample with replacement: (RESAMPLES, N) float64, read-only."""
    drawn = np.random.default_rng(seed).multinomial(N, np.full(N, 1 / N), size=RESAMPLES).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def estimate(metric: PerStory, seed: int) -> Estimate | None:
    """The value with its 95% percentile bootstrap interval over stories (Efron and Tibshirani, 1993, chapter 13).

    None where no story has a say.
    """
    stories = int((metric.weight > 0).sum())
    if not stories:
        return None
    drawn = resamples(len(metric.total), seed)
    totals, counts = drawn @ metric.total, drawn @ metric.weight
    values = totals[counts > 0] / counts[counts > 0]
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(float(metric.total.sum() / metric.weight.sum()), float(low), float(high), stories)


def paired_difference(one: PerStory, other: PerStory, seed: int) -> Estimate | None:
    """The value of `one` minus that of `other` on the same N stories: both from the same resamples (Efron and
    Tibshirani, 1993, chapters 8 and 13). None where one of them has no story with a say."""
    stories = min(int((metric.weight > 0).sum()) for metric in (one, other))
    if not stories:
        return None
    drawn = resamples(len(one.total), seed)
    counts = [drawn @ metric.weight for metric in (one, other)]
    told = (counts[0] > 0) & (counts[1] > 0)
    values = [(drawn @ metric.total)[told] / count[told] for metric, count in zip((one, other), counts, strict=True)]
    low, high = np.percentile(values[0] - values[1], [2.5, 97.5])
    mean = one.total.sum() / one.weight.sum() - other.total.sum() / other.weight.sum()
    return Estimate(float(mean), float(low), float(high), stories)
