"""Samples of the page: generation, selection, edits, undo and redo."""

from dataclasses import replace

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.demo.history import BEFORE, MAX_UNDO, Samples, generate_samples
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN


def generated(model: StoryGAN, total: int, seed: int = 7) -> Samples:
    return generate_samples("m", model, STORY, total, seed)


def test_samples_equal_those_of_generate(model: StoryGAN) -> None:
    frames = np.concatenate([output.frames for output in generated(model, 3).outputs])
    expected = model.generate(STORY, 3, 7).frames
    assert np.array_equal(frames, expected)
    assert not np.array_equal(frames[0], frames[1])


def test_an_edit_replaces_only_the_selected_sample(model: StoryGAN) -> None:
    samples = generated(model, 2).select(2, 3)
    edited = samples.with_edit(editing.change_sentence(model, samples.output, 3, STORY[0], keep_context=True))
    assert edited.outputs[0] is samples.outputs[0]
    assert edited.output.sentences == (*STORY[:2], STORY[0], STORY[3])
    assert (edited.number, edited.frame) == (2, 3)
    assert samples.output.sentences == STORY


@pytest.mark.parametrize("number", [0, 3, None, "1", -1, [1]])
def test_selecting_an_unknown_sample_or_frame(model: StoryGAN, number: object) -> None:
    samples = generated(model, 2)
    with pytest.raises(UsageError, match="there is no sample"):
        samples.select(number, 0)
    for frame in ([] if number in (0, 3) else [number]) + [6]:  # 5: a new frame
        with pytest.raises(UsageError, match="there is no frame"):
            samples.select(1, frame)


def test_undo_and_redo_restore_state_by_state(model: StoryGAN) -> None:
    first, new = generated(model, 2), generated(model, 1, seed=8)
    second = new.after(first)
    third = second.with_edit(editing.resample(model, second.output, [1], seed=9))
    assert [state.outputs for state in third.undo_stack] == [first.outputs, new.outputs]
    back = third.undo()
    assert back.outputs == second.outputs
    assert back.undo().outputs == first.outputs
    assert back.undo().seed == 7
    assert back.undo().redo().redo() == third
    with pytest.raises(UsageError, match="nothing to redo"):
        third.redo()
    with pytest.raises(UsageError, match="nothing to undo"):
        first.undo()
    assert back.with_edit(back.output).redo_stack == ()


def test_the_same_story_and_seed_show_the_same(model: StoryGAN) -> None:
    one = generated(model, 1)
    assert generated(model, 1).after(one).shows(one)
    edited = one.with_edit(editing.resample(model, one.output, [1], seed=9))
    assert not any(other.shows(one) for other in (generated(model, 2), generated(model, 1, seed=8), edited))


def test_the_undo_stack_is_bounded(model: StoryGAN) -> None:
    samples = generated(model, 1)
    for _ in range(MAX_UNDO + 3):
        samples = samples.with_edit(samples.output)
    assert len(samples.undo_stack) == MAX_UNDO
    for _ in range(MAX_UNDO):
        samples = samples.undo()
    assert len(samples.redo_stack) == MAX_UNDO
    assert not any(state.undo_stack or state.redo_stack for state in samples.redo_stack)


def test_a_frame_is_compared_with_the_one_before_and_with_other_samples(model: StoryGAN) -> None:
    samples = generated(model, 2).select(1, 3)
    assert list(samples.others()) == ["Sample 2"]
    assert np.array_equal(samples.others()["Sample 2"], samples.outputs[1].frames[0, 2])
    edited = samples.with_edit(editing.resample(model, samples.output, [1, 2, 4], seed=9))
    assert np.array_equal(edited.others()[BEFORE], samples.output.frames[0, 2])
    assert list(edited.select(1, 1).others()) == ["Sample 2"]  # this frame has not changed
    assert replace(edited, model="another").others().keys() == {"Sample 2"}


def test_the_steps_of_an_interpolation_become_samples(model: StoryGAN) -> None:
    samples = generated(model, 2).select(2, 0)
    steps = samples.with_interpolation(editing.interpolate(model, samples.output, seed=8, steps=3))
    assert [steps.title(k) for k in (1, 2, 3)] == ["0%", "50%", "100%"]
    assert np.array_equal(steps.output.frames, samples.output.frames)
    assert steps.undo().outputs == samples.outputs
