"""Drawings come one after another, and are what `generate` gives."""

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.demo.history import UNDOS, draw
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN


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


def test_one_can_go_back_sheet_by_sheet(model: StoryGAN) -> None:
    *_, first = draw("m", model, STORY, samples=2, seed=7)
    *_, new = draw("m", model, STORY, samples=1, seed=8)
    second = new.after(first)
    third = second.with_edit(1, editing.redraw(model, second.pick(1), [1], seed=9))
    assert [sheet.drawings for sheet in third.earlier] == [first.drawings, new.drawings]
    assert third.undo() == second
    assert third.undo().undo() == first
    with pytest.raises(UsageError, match="nothing to undo"):
        first.undo()


def test_what_is_remembered_is_bounded(model: StoryGAN) -> None:
    *_, sheet = draw("m", model, STORY, samples=1, seed=7)
    for _ in range(UNDOS + 3):
        sheet = sheet.with_edit(1, sheet.pick(1))
    assert len(sheet.earlier) == UNDOS
    assert not any(old.earlier for old in sheet.earlier)


def test_the_way_to_another_idea_is_a_sheet_of_its_steps(model: StoryGAN) -> None:
    *_, sheet = draw("m", model, STORY, samples=2, seed=7)
    way = editing.interpolate(model, sheet.pick(2), seed=8, steps=3)
    steps = sheet.with_way(way)
    assert (steps.samples, len(steps.drawings)) == (3, 3)
    assert steps.titles[1] == "Drawing 2: 50% of the way"
    assert np.array_equal(steps.pick(1).frames, sheet.pick(2).frames)
    assert steps.undo() == sheet
