"""A drawing holds what it was drawn from, and nothing of the model changes by it."""

import numpy as np
import pytest
import torch
from tests.editing.conftest import random_model

from storygan import editing
from storygan.config import VARIANTS, Variant
from storygan.editing.output import draw_anew
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN


def test_it_is_what_generate_draws(model: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(model, story, seed=7, samples=2)
    assert np.array_equal(drawing.frames, model.generate(story, seed=7, samples=2))
    assert drawing.frames.std() > 10


def test_frames_drawn_anew_from_their_own_states_are_the_same(model: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(model, story, seed=7)
    for first, last in ((1, 4), (2, 3), (4, 4)):
        again = draw_anew(model, drawing, first, last)
        assert np.abs(again.frames.astype(int) - drawing.frames).max() <= 1  # rounding may differ by a level
        torch.testing.assert_close(again.h, drawing.h)
        torch.testing.assert_close(again.g, drawing.g)


def test_one_of_several(model: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(model, story, seed=7, samples=3)
    for k in (0, 2, -1):
        one = drawing[k]
        assert len(one) == 1
        assert np.array_equal(one.frames[0], drawing.frames[k])
        edited = editing.change_sentence(model, one, 4, story[0], keep_context=True)
        assert np.array_equal(edited.frames[0, :3], drawing.frames[k, :3])
    with pytest.raises(IndexError):
        drawing[3]


def test_more_than_a_batch(storygan: StoryGAN, story: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storygan.models.storygan.FRAMES", 8)
    drawing = editing.draw(storygan, story, samples=3)
    assert len(drawing) == 3
    last = editing.redraw(storygan, drawing, keep=[1, 2, 3], seed=1)
    assert np.array_equal(last.frames[:, :3], drawing.frames[:, :3])
    in_one = storygan.generate(story, samples=3)
    assert np.abs(drawing.frames.astype(int) - in_one).max() <= 1  # rounding may differ by a level


@pytest.mark.parametrize("variant", VARIANTS)
def test_edits_leave_model_and_drawing_as_they_were(variant: Variant, story: list[str]) -> None:
    model = random_model(variant)
    drawing = editing.draw(model, story, seed=7)
    frames, S, eps = drawing.frames.copy(), drawing.S.clone(), drawing.noise.eps.clone()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    editing.change_sentence(model, drawing, 2, story[0])
    editing.redraw(model, drawing, [1], seed=1)
    editing.continue_story(model, drawing, story[0])
    editing.gist_grid(model, drawing)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert np.array_equal(drawing.frames, frames)
    assert torch.equal(drawing.S, S)
    assert torch.equal(drawing.noise.eps, eps)


@pytest.mark.parametrize(
    ("told", "message"),
    [(["large red rubber cube at (0, 0)"] * 3, "this one has 3"), ("one string", "is a string"), ([], "has 0")],
)
def test_a_story_of_another_length_is_refused(storygan: StoryGAN, told: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        editing.draw(storygan, told)


def test_no_samples_are_refused(storygan: StoryGAN, story: list[str]) -> None:
    with pytest.raises(UsageError, match="samples is 0"):
        editing.draw(storygan, story, samples=0)
