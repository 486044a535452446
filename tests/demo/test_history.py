"""Samples of the page: generation, editing and undo."""

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.demo.history import MAX_UNDO, Samples, generate_samples
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN


def generated(model: StoryGAN, total: int, seed: int = 7) -> Samples:
    *_, samples = generate_samples("m", model, STORY, total, seed)
    return samples


def test_samples_equal_those_of_generate(model: StoryGAN) -> None:
    states = list(generate_samples("m", model, STORY, 3, seed=7))
    assert [len(samples.outputs) for samples in states] == [1, 2, 3]
    frames = np.concatenate([output.frames for output in states[-1].outputs])
    difference = np.abs(frames.astype(int) - model.generate(STORY, num_samples=3, seed=7).frames)
    assert difference.max() <= 1  # batches of 1 and 3 round differently
    assert not np.array_equal(frames[0], frames[1])


def test_an_edit_replaces_only_its_sample(model: StoryGAN) -> None:
    samples = generated(model, 2)
    new = editing.change_sentence(model, samples.select(2), 3, STORY[0], keep_context=True)
    edited = samples.with_edit(2, new)
    assert edited.select(1) is samples.select(1)
    assert edited.select(2).sentences == (*STORY[:2], STORY[0], STORY[3])
    assert samples.select(2).sentences == STORY


@pytest.mark.parametrize("number", [0, 3, None, "1", -1])
def test_selecting_an_unknown_sample(model: StoryGAN, number: object) -> None:
    with pytest.raises(UsageError, match="there is no sample"):
        generated(model, 2).select(number)


def test_undo_restores_state_by_state(model: StoryGAN) -> None:
    first, new = generated(model, 2), generated(model, 1, seed=8)
    second = new.after(first)
    third = second.with_edit(1, editing.resample(model, second.select(1), [1], seed=9))
    assert [state.outputs for state in third.undo_stack] == [first.outputs, new.outputs]
    assert third.undo() == second
    assert third.undo().undo() == first
    with pytest.raises(UsageError, match="nothing to undo"):
        first.undo()


def test_the_undo_stack_is_bounded(model: StoryGAN) -> None:
    samples = generated(model, 1)
    for _ in range(MAX_UNDO + 3):
        samples = samples.with_edit(1, samples.select(1))
    assert len(samples.undo_stack) == MAX_UNDO
    assert not any(state.undo_stack for state in samples.undo_stack)


def test_the_steps_of_an_interpolation_become_samples(model: StoryGAN) -> None:
    samples = generated(model, 2)
    steps = samples.with_interpolation(editing.interpolate(model, samples.select(2), seed=8, steps=3))
    assert (steps.total, len(steps.outputs)) == (3, 3)
    assert steps.titles[1] == "Sample 2: 50% of the interpolation"
    assert np.array_equal(steps.select(1).frames, samples.select(2).frames)
    assert steps.undo() == samples
