"""Generating and regenerating a `StoryOutput`."""

import numpy as np
import pytest
import torch
from tests.editing.conftest import random_model

from storygan import editing
from storygan.config import VARIANTS, Variant
from storygan.editing.output import regenerate
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN


def test_frames_equal_those_of_model_generate(model: StoryGAN, story: list[str]) -> None:
    output = editing.generate(model, story, seed=7, samples=2)
    assert np.array_equal(output.frames, model.generate(story, seed=7, samples=2))
    assert output.frames.std() > 10


def test_regenerating_with_the_same_noise_gives_the_same_frames(model: StoryGAN, story: list[str]) -> None:
    output = editing.generate(model, story, seed=7)
    for first, last in ((1, 4), (2, 3), (4, 4)):
        again = regenerate(model, output, first, last)
        assert np.abs(again.frames.astype(int) - output.frames).max() <= 1  # rounding may differ by a level
        torch.testing.assert_close(again.h, output.h)
        torch.testing.assert_close(again.g, output.g)


def test_a_sample_of_several_can_be_edited(model: StoryGAN, story: list[str]) -> None:
    output = editing.generate(model, story, seed=7, samples=3)
    for k in (0, 2, -1):
        one = output[k]
        assert len(one) == 1
        assert np.array_equal(one.frames[0], output.frames[k])
        edited = editing.change_sentence(model, one, 4, story[0], keep_context=True)
        assert np.array_equal(edited.frames[0, :3], output.frames[k, :3])
    with pytest.raises(IndexError):
        output[3]


def test_several_batches(storygan: StoryGAN, story: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storygan.models.storygan.BATCH_FRAMES", 8)
    output = editing.generate(storygan, story, samples=3)
    assert len(output) == 3
    last = editing.resample(storygan, output, keep=[1, 2, 3], seed=1)
    assert np.array_equal(last.frames[:, :3], output.frames[:, :3])
    in_one = storygan.generate(story, samples=3)
    assert np.abs(output.frames.astype(int) - in_one).max() <= 1  # rounding may differ by a level


@pytest.mark.parametrize("variant", VARIANTS)
def test_edits_change_neither_model_nor_output(variant: Variant, story: list[str]) -> None:
    model = random_model(variant)
    output = editing.generate(model, story, seed=7)
    frames, S, eps = output.frames.copy(), output.S.clone(), output.noise.eps.clone()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    editing.change_sentence(model, output, 2, story[0])
    editing.resample(model, output, [1], seed=1)
    editing.extend(model, output, story[0])
    editing.gist_grid(model, output)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert np.array_equal(output.frames, frames)
    assert torch.equal(output.S, S)
    assert torch.equal(output.noise.eps, eps)


@pytest.mark.parametrize(
    ("story", "message"),
    [(["a red cube", "a pink cube"], "unknown word 'pink'"), ("one string", "is a string"), ([], "this one has 0")],
)
def test_an_invalid_story_is_refused(storygan: StoryGAN, story: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        editing.generate(storygan, story)


def test_zero_samples_are_refused(storygan: StoryGAN, story: list[str]) -> None:
    with pytest.raises(UsageError, match="samples is 0"):
        editing.generate(storygan, story, samples=0)
