"""Rows of pictures with their words."""

from dataclasses import replace

import numpy as np

from storygan import editing
from storygan.models.storygan import StoryGAN
from storygan.viz import sheet

NEW = "large purple metal cube at (-0.4, 0.9)"


def test_before_and_after(storygan: StoryGAN, story: list[str]) -> None:
    before = editing.draw(storygan, story, seed=7, samples=2)
    after = editing.change_sentence(storygan, before, 3, NEW)
    rows = editing.before_and_after(before, after)
    assert [row.label for row in rows] == [
        f"{name} {k}" for k in (1, 2) for name in ("before", "after", "where it changed")
    ]
    assert list(rows[0].captions) == story
    assert list(rows[1].captions) == ["", "", NEW, ""]
    assert np.array_equal(rows[3].frames, before.frames[1])
    assert np.array_equal(rows[4].frames, after.frames[1])


def test_where_it_changed_glows_there_alone(storygan: StoryGAN, story: list[str]) -> None:
    before = editing.draw(storygan, story, seed=7)
    frames = before.frames.copy()
    frames[0, 2, 10:20, 30:40] ^= 128
    row = editing.before_and_after(before, replace(before, frames=frames))[2]
    assert list(row.captions) == ["0.00", "0.00", f"{128 * 100 / 64**2:.2f}", "0.00"]
    bright = row.frames.max(-1) > 127  # the frames themselves are darkened to half
    assert bright[2, 10:20, 30:40].all()
    assert bright.sum() == 100


def test_a_continued_story_is_told_whole(storygan: StoryGAN, story: list[str]) -> None:
    longer = editing.continue_story(storygan, editing.draw(storygan, story), NEW)
    (row,) = editing.told(longer)
    assert list(row.captions) == [*story, NEW]
    assert len(row.frames) == 5


def test_the_steps_of_an_interpolation(storygan: StoryGAN, story: list[str]) -> None:
    rows = editing.between(editing.interpolate(storygan, editing.draw(storygan, story), 1, steps=3))
    assert [row.label for row in rows] == ["0% of the way", "50% of the way", "100% of the way"]
    assert sheet(rows).shape[2] == 3
