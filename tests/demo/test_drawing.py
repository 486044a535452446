"""Drawings come one after another, and are what `generate` gives."""

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.demo.drawing import draw
from storygan.models.storygan import StoryGAN
from storygan.types import UsageError


def test_drawings_are_those_of_generate(model: StoryGAN) -> None:
    sheets = list(draw("m", model, STORY, samples=3, seed=7))
    assert [len(sheet.drawings) for sheet in sheets] == [1, 2, 3]
    frames = np.concatenate([drawing.frames for drawing in sheets[-1].drawings])
    difference = np.abs(frames.astype(int) - model.generate(STORY, samples=3, seed=7))
    assert difference.max() <= 1  # a batch of 1 and one of 3 round differently
    assert not np.array_equal(frames[0], frames[1])


def test_an_edit_takes_the_place_of_its_drawing_alone(model: StoryGAN) -> None:
    *_, sheet = draw("m", model, STORY, samples=2, seed=7)
    new = editing.change_sentence(model, sheet.pick(2), 3, STORY[0], keep_context=True)
    edited = sheet.with_edit(2, new)
    assert edited.pick(1) is sheet.pick(1)
    assert edited.pick(2).story == (*STORY[:2], STORY[0], STORY[3])
    assert sheet.pick(2).story == STORY


@pytest.mark.parametrize("number", [0, 3, None, "1", -1])
def test_a_drawing_that_is_not_there(model: StoryGAN, number: object) -> None:
    *_, sheet = draw("m", model, STORY, samples=2, seed=7)
    with pytest.raises(UsageError, match="there is no drawing"):
        sheet.pick(number)
