"""Means with intervals over stories."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from storygan.evaluation.bootstrap import PerStory, concatenate, estimate, paired_difference, per_story, resample_counts


def test_mean_is_the_ratio_of_sums() -> None:
    value = estimate(PerStory(np.array([1.0, 0.0]), np.array([1.0, 3.0])), seed=0)
    assert value is not None
    assert value.mean == 0.25
    assert value.stories == 2


def test_interval_matches_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    value = estimate(per_story(values), seed=1)
    assert value is not None
    assert value.mean == pytest.approx(values.mean())
    assert value.low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.03)
    assert value.high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.03)


def test_interval_matches_that_of_scipy() -> None:
    values = np.random.default_rng(0).gamma(2.0, 1.0, 80)
    found = estimate(per_story(values), seed=0)
    assert found is not None
    random = np.random.default_rng(1)
    expected = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", random_state=random)
    width = expected.confidence_interval.high - expected.confidence_interval.low
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.1 * width)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.1 * width)


def test_interval_depends_on_the_seed_alone() -> None:
    metric = per_story(np.random.default_rng(0).random((30, 4)))
    assert estimate(metric, 3) == estimate(metric, 3) != estimate(metric, 4)


def test_stories_of_weight_0_do_not_count() -> None:
    some = PerStory(np.array([2.0, 0.0, 1.0]), np.array([2.0, 0.0, 2.0]))
    value = estimate(some, seed=0)
    assert value is not None
    assert (value.mean, value.stories) == (0.75, 2)
    assert estimate(PerStory(np.zeros(3), np.zeros(3)), seed=0) is None


def test_concatenated_parts_equal_the_whole() -> None:
    whole = per_story(np.arange(12.0).reshape(6, 2))
    parts = concatenate([per_story(np.arange(8.0).reshape(4, 2)), per_story(np.arange(8.0, 12).reshape(2, 2))])
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_resample_has_as_many_stories() -> None:
    assert (resample_counts(7, seed=0).sum(1) == 7).all()


def test_paired_difference_with_equal_weights_is_the_estimate_of_differences() -> None:
    a, b = (per_story(np.random.default_rng(seed).random((30, 4))) for seed in (0, 1))
    expected = estimate(PerStory(a.total - b.total, a.weight), seed=2)
    found = paired_difference(a, b, seed=2)
    assert expected is not None
    assert found is not None
    assert [found.mean, found.low, found.high] == pytest.approx([expected.mean, expected.low, expected.high])


def test_paired_difference_of_ratios_resamples_both_together() -> None:
    rng = np.random.default_rng(0)
    a = PerStory(rng.random(20), rng.random(20) + 1)
    found = paired_difference(a, PerStory(a.total, 2 * a.weight), seed=2)
    halved = estimate(PerStory(a.total, 2 * a.weight), seed=2)
    assert found is not None
    assert halved is not None
    assert [found.mean, found.low, found.high] == pytest.approx([halved.mean, halved.low, halved.high])
    assert paired_difference(a, PerStory(a.total, 0 * a.weight), seed=2) is None


def test_runs_of_several_seeds_are_resampled_too() -> None:
    """Two runs that differ by 0.2 in each story: resamples are of one run, of the other, or of both."""
    values = np.random.default_rng(0).normal(0.5, 0.01, 400)
    runs = [per_story(values), per_story(values + 0.2)]
    found, one = estimate(runs, 0), estimate(runs[0], 0)
    assert found is not None
    assert one is not None
    assert found.mean == pytest.approx(one.mean + 0.1)
    assert found.low == pytest.approx(one.mean, abs=0.002)
    assert found.high == pytest.approx(one.mean + 0.2, abs=0.002)
    difference = paired_difference(runs, runs[0], 0)
    assert difference is not None
    assert (difference.low, difference.mean, difference.high) == pytest.approx((0, 0.1, 0.2), abs=1e-9)
    other = paired_difference(runs, list(runs), 0)  # the runs of two systems are sampled apart
    assert other is not None
    assert (other.low, other.mean, other.high) == pytest.approx((-0.2, 0, 0.2), abs=1e-9)
