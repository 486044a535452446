"""Means with intervals over stories."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.evaluation.bootstrap import PerStory, estimate, join, paired_difference, per_story, resamples


def test_the_mean_is_the_ratio_of_totals() -> None:
    value = estimate(PerStory(np.array([1.0, 0.0]), np.array([1.0, 3.0])), seed=0)
    assert value is not None
    assert value.mean == 0.25
    assert value.stories == 2


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    value = estimate(per_story(values), seed=1)
    assert value is not None
    assert value.mean == pytest.approx(values.mean())
    assert value.low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.03)
    assert value.high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.03)


def test_the_seed_decides() -> None:
    metric = per_story(np.random.default_rng(0).random((30, 4)))
    assert estimate(metric, 3) == estimate(metric, 3) != estimate(metric, 4)


def test_stories_without_a_say_do_not_count() -> None:
    some = PerStory(np.array([2.0, 0.0, 1.0]), np.array([2.0, 0.0, 2.0]))
    value = estimate(some, seed=0)
    assert value is not None
    assert (value.mean, value.stories) == (0.75, 2)
    assert estimate(PerStory(np.zeros(3), np.zeros(3)), seed=0) is None


def test_parts_join_and_resamples_keep_their_size() -> None:
    whole = per_story(np.arange(12.0).reshape(6, 2))
    parts = join([per_story(np.arange(8.0).reshape(4, 2)), per_story(np.arange(8.0, 12).reshape(2, 2))])
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert (resamples(7, seed=0).sum(1) == 7).all()


def test_paired_differences_of_equal_weights_are_those_of_the_stories() -> None:
    one, other = (per_story(np.random.default_rng(seed).random((30, 4))) for seed in (0, 1))
    minus = estimate(PerStory(one.total - other.total, one.weight), seed=2)
    found = paired_difference(one, other, seed=2)
    assert minus is not None
    assert found is not None
    assert [found.mean, found.low, found.high] == pytest.approx([minus.mean, minus.low, minus.high])


def test_paired_differences_of_ratios_resample_both_sides_together() -> None:
    rng = np.random.default_rng(0)
    one = PerStory(rng.random(20), rng.random(20) + 1)
    found = paired_difference(one, PerStory(one.total, 2 * one.weight), seed=2)
    halved = estimate(PerStory(one.total, 2 * one.weight), seed=2)
    assert found is not None
    assert halved is not None
    assert [found.mean, found.low, found.high] == pytest.approx([halved.mean, halved.low, halved.high])
    assert paired_difference(one, PerStory(one.total, 0 * one.weight), seed=2) is None
