"""Pixel changes inside and outside a mask."""

import json
from pathlib import Path

import numpy as np
import pytest

from storygan import editing
from storygan.data.dataset import open_split
from storygan.errors import UsageError


def test_means_inside_and_outside_a_mask() -> None:
    before = np.full((2, 3, 4, 4, 3), 100, np.uint8)
    after = before.copy()
    after[:, 1, 0, 0] = 90  # one pixel of 16
    after[1, 2] = 103  # one output of two
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    change = editing.pixel_change(before, after, mask)
    np.testing.assert_allclose(change.overall, [0, 10 / 16, 1.5])
    np.testing.assert_allclose(change.inside, [0, 10 / 4, 1.5])
    np.testing.assert_allclose(change.outside, [0, 0, 1.5])
    assert json.loads(json.dumps(change.to_dict()))["inside"] == [0, 2.5, 1.5]
    assert "frame 3" in str(change).splitlines()[0]


def test_without_a_mask_inside_is_none() -> None:
    frames = np.zeros((1, 2, 4, 4, 3), np.uint8)
    change = editing.pixel_change(frames, frames)
    assert change.to_dict() == {"overall": [0, 0], "inside": [None, None], "outside": [0, 0]}
    assert str(change).splitlines()[2].split() == ["inside", "-", "-"]


def test_only_frames_that_both_stories_have_are_compared() -> None:
    assert (
        len(editing.pixel_change(np.zeros((1, 4, 8, 8, 3), np.uint8), np.zeros((1, 5, 8, 8, 3), np.uint8)).overall) == 4
    )


def test_a_sentence_mask_covers_the_object_in_rendered_frames(sample: Path) -> None:
    stories = open_split(sample, "test")
    """Frame t has one object more than frame t - 1, so it changes inside the mask, except for shadows."""
    inside, outside, sizes = [], [], []
    for frames, story in zip(stories.frames, stories.sentences, strict=True):
        for t in range(1, stories.T):
            mask = editing.sentence_mask(story[t])
            change = editing.pixel_change(frames[None, t - 1 : t], frames[None, t : t + 1], mask)
            inside.append(change.inside[0])
            outside.append(change.outside[0])
            sizes.append(mask.mean())
    assert np.mean(inside) > 15 * np.mean(outside)
    assert np.mean(sizes) < 0.15


def test_masks_of_several_sentences_are_joined() -> None:
    one, two = "large red rubber cube at (-1.8, 1.5)", "small blue metal cylinder at (1.2, 1.9)"
    both = editing.sentence_mask(one, two)
    assert np.array_equal(both, editing.sentence_mask(one) | editing.sentence_mask(two))
    assert both.shape == (64, 64)
    assert editing.sentence_mask(one, size=128).mean() == pytest.approx(editing.sentence_mask(one).mean(), rel=0.5)
    assert not editing.sentence_mask().any()
    with pytest.raises(UsageError, match="pink"):
        editing.sentence_mask("large pink rubber cube at (-1.8, 1.5)")
