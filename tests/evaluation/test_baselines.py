"""Real frames, trivial baselines and generated frames in one pool."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.evaluation.baselines import METHODS, MODEL, build_pool, find_baseline, mean_image


def test_frames_of_each_method(stories: StoryDataset) -> None:
    real = stories.batch(range(4))
    generated, mean = 255 - real, mean_image(stories)
    pool = build_pool(real, mean, {MODEL: generated}, nearest=real[::-1])
    assert set(pool.index) == set(METHODS)
    assert np.array_equal(pool.select("nearest_story"), real[::-1])
    assert np.array_equal(pool.select("first_real_frame"), real[:, [0, 0, 0, 0]])
    assert np.array_equal(pool.select("real_frames"), real)
    assert np.array_equal(pool.select(MODEL), generated)
    assert (pool.select("mean_image") == mean).all()
    previous = pool.select("previous_real_frame")
    assert np.array_equal(previous[:, 1:], real[:, :-1])
    assert (previous[:, 0] == mean).all()
    another = pool.select("another_story")
    assert np.array_equal(another[:3], real[1:])
    assert np.array_equal(another[3], real[2])
    two = build_pool(real[:2], mean, {MODEL: generated[:2]})
    assert np.array_equal(two.select("another_story"), real[[1, 0]])


def test_several_models_and_a_baseline_in_place_of_one(stories: StoryDataset) -> None:
    real = stories.batch(range(3))
    pool = build_pool(real, mean_image(stories), {"a": 255 - real, "baseline": "another_story", "b": real[::-1]})
    assert np.array_equal(pool.select("a"), 255 - real)
    assert np.array_equal(pool.select("baseline"), pool.select("another_story"))
    assert np.array_equal(pool.select("b"), real[::-1])


@pytest.mark.parametrize(
    ("name", "baseline"),
    [
        ("real", "real_frames"),
        ("real-frames", "real_frames"),
        ("mean image", "mean_image"),
        ("mean-image", "mean_image"),
        ("previous real frame", "previous_real_frame"),
        ("another story's frames", "another_story"),
        ("another_story", "another_story"),
        ("first-real-frame", "first_real_frame"),
        ("nearest-story", "nearest_story"),
        ("clevr-sv", None),
        ("model", None),
    ],
)
def test_baselines_are_found_by_name(name: str, baseline: str | None) -> None:
    assert find_baseline(name) == baseline


def test_mean_image_is_the_rounded_mean(stories: StoryDataset) -> None:
    assert np.abs(mean_image(stories) - stories.frames.astype(float).mean((0, 1))).max() <= 0.5


def test_one_story_or_frames_of_another_shape_are_refused(stories: StoryDataset) -> None:
    real = stories.batch(range(2))
    with pytest.raises(UsageError, match="2 stories"):
        build_pool(real[:1], mean_image(stories), {MODEL: real[:1]})
    with pytest.raises(UsageError, match="no training split"):
        build_pool(real, mean_image(stories), {MODEL: "nearest_story"})
    with pytest.raises(UsageError, match=r"generated frames are \(3, 64, 64, 3\)"):
        build_pool(real, mean_image(stories), {MODEL: real[:, :3]})
