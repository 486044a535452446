"""Rows of frames, labels and captions."""

from dataclasses import replace

import numpy as np

from storygan import editing
from storygan.models.storygan import StoryGAN
from storygan.viz import sheet

NEW = "large purple metal cube at (-0.4, 0.9)"


def test_before_after_rows(storygan: StoryGAN, story: list[str]) -> None:
    before = storygan.generate(story, seed=7, num_samples=2)
    after = editing.change_sentence(storygan, before, 3, NEW)
    rows = editing.before_after_rows(before, after)
    assert [row.label for row in rows] == [f"{name} {k}" for k in (1, 2) for name in ("before", "after", "difference")]
    assert list(rows[0].captions) == story
    assert list(rows[1].captions) == ["", "", NEW, ""]
    assert np.array_equal(rows[3].frames, before.frames[1])
    assert np.array_equal(rows[4].frames, after.frames[1])


def test_the_difference_heatmap_is_bright_only_where_pixels_differ(storygan: StoryGAN, story: list[str]) -> None:
    before = storygan.generate(story, seed=7)
    frames = before.frames.copy()
    frames[0, 2, 10:20, 30:40] ^= 128
    row = editing.before_after_rows(before, replace(before, frames=frames))[2]
    assert list(row.captions) == ["0.00 of 255", "0.00 of 255", f"{128 * 100 / 64**2:.2f} of 255", "0.00 of 255"]
    bright = row.frames.max(-1) > 127  # the frames themselves are darkened to half
    assert bright[2, 10:20, 30:40].all()
    assert bright.sum() == 100


def test_rows_have_every_sentence(storygan: StoryGAN, story: list[str]) -> None:
    longer = editing.extend(storygan, storygan.generate(story), NEW)
    (row,) = longer.rows()
    assert list(row.captions) == [*story, NEW]
    assert len(row.frames) == 5


def test_interpolation_rows(storygan: StoryGAN, story: list[str]) -> None:
    rows = editing.interpolation_rows(editing.interpolate(storygan, storygan.generate(story), 1, steps=3))
    assert [row.label for row in rows] == ["0%", "50%", "100%"]
    assert sheet(rows).shape[2] == 3
