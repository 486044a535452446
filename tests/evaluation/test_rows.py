"""The rows of a table."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.evaluation.baselines import MODEL, ROWS, make_pool, mean_image, trivial_row


def test_what_each_row_shows(stories: StoryDataset) -> None:
    real = stories.batch(range(4))
    drawn, mean = 255 - real, mean_image(stories)
    pool = make_pool(real, mean, {MODEL: drawn})
    assert set(pool.rows) == set(ROWS)
    assert np.array_equal(pool.show("real_frames"), real)
    assert np.array_equal(pool.show(MODEL), drawn)
    assert (pool.show("mean_image") == mean).all()
    previous = pool.show("previous_real_frame")
    assert np.array_equal(previous[:, 1:], real[:, :-1])
    assert (previous[:, 0] == mean).all()
    other = pool.show("another_story")
    assert np.array_equal(other[:3], real[1:])
    assert np.array_equal(other[3], real[2])
    assert np.array_equal(make_pool(real[:2], mean, {MODEL: drawn[:2]}).show("another_story"), real[[1, 0]])


def test_several_may_have_drawn(stories: StoryDataset) -> None:
    real = stories.batch(range(3))
    pool = make_pool(real, mean_image(stories), {"one": 255 - real, "none": "mean_image", "other": real[::-1]})
    assert np.array_equal(pool.show("one"), 255 - real)
    assert np.array_equal(pool.show("none"), pool.show("mean_image"))
    assert np.array_equal(pool.show("other"), real[::-1])


def test_a_trivial_row_can_stand_for_the_model(stories: StoryDataset) -> None:
    pool = make_pool(stories.batch(range(2)), mean_image(stories), {MODEL: "another_story"})
    assert np.array_equal(pool.show(MODEL), pool.show("another_story"))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("real", "real_frames"),
        ("real-frames", "real_frames"),
        ("mean image", "mean_image"),
        ("mean-image", "mean_image"),
        ("previous real frame", "previous_real_frame"),
        ("another story's frames", "another_story"),
        ("another_story", "another_story"),
        ("clevr-sv", None),
        ("model", None),
    ],
)
def test_names(name: str, row: str | None) -> None:
    assert trivial_row(name) == row


def test_the_mean_image(stories: StoryDataset) -> None:
    assert np.abs(mean_image(stories) - stories.frames.astype(float).mean((0, 1))).max() <= 0.5


def test_what_does_not_fit_is_refused(stories: StoryDataset) -> None:
    real = stories.batch(range(2))
    with pytest.raises(UsageError, match="2 stories"):
        make_pool(real[:1], mean_image(stories), {MODEL: real[:1]})
    with pytest.raises(UsageError, match="frames"):
        make_pool(real, mean_image(stories), {MODEL: real[:, :3]})
