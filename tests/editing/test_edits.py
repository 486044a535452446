"""Edits: bit-identical and changed frames."""

import numpy as np
import pytest
import torch

from storygan import editing
from storygan.editing.edits import slerp
from storygan.errors import UsageError
from storygan.models.inference import to_uint8
from storygan.models.output import generate_from_noise
from storygan.models.storygan import StoryGAN

NEW = "large purple metal cube at (-0.4, 0.9)"


def changed(before: editing.StoryOutput, after: editing.StoryOutput) -> list[int]:
    """The frames, from 1, in which any pixel differs."""
    n = before.frames.shape[1]
    return [t + 1 for t in range(n) if not np.array_equal(before.frames[:, t], after.frames[:, t])]


# ---- change a sentence ----


@pytest.mark.parametrize("t", [1, 3, 4])
def test_with_keep_context_only_later_frames_change(model: StoryGAN, story: list[str], t: int) -> None:
    before = model.generate(story, seed=7, num_samples=2)
    after = editing.change_sentence(model, before, t, NEW, keep_context=True)
    assert changed(before, after) == ([t] if model.config.variant == "imagegan" else list(range(t, 5)))
    assert after.sentences == (*story[: t - 1], NEW, *story[t:])
    assert torch.equal(after.h[:, 0], before.h[:, 0])
    assert torch.equal(after.noise.eps, before.noise.eps)


def test_without_keep_context_it_is_the_new_story_with_the_old_seed(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7, num_samples=2)
    after = editing.change_sentence(model, before, 3, NEW)
    assert np.array_equal(after.frames, model.generate([*story[:2], NEW, story[3]], seed=7, num_samples=2).frames)
    assert changed(before, after) == [1, 2, 3, 4]


def test_earlier_frames_change_through_h_0_only(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7)
    after = editing.change_sentence(model, before, 3, NEW)
    assert torch.equal(after.g[:, :3], before.g[:, :3])  # g_0, i_1, i_2
    assert not torch.equal(after.h[:, 0], before.h[:, 0])
    back = generate_from_noise(model, after.stories, after.S, before.S_0, after.noise)  # h_0 of the old story
    assert np.array_equal(back.frames[:, :2], before.frames[:, :2])


def test_the_same_sentence_changes_nothing(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7)
    assert changed(before, editing.change_sentence(model, before, 1, story[0], keep_context=True)) == []
    assert changed(before, editing.change_sentence(model, before, 2, story[1])) == []


@pytest.mark.parametrize(("t", "sentence", "message"), [(0, NEW, "no sentence 0"), (5, NEW, "5"), (2, "a cow", "cow")])
def test_invalid_change_sentence(storygan: StoryGAN, story: list[str], t: int, sentence: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        editing.change_sentence(storygan, storygan.generate(story), t, sentence)


# ---- resample ----


@pytest.mark.parametrize("keep", [[1, 3], [2], [1, 2, 3], [4], []])
def test_resample_changes_only_the_other_frames(model: StoryGAN, story: list[str], keep: list[int]) -> None:
    before = model.generate(story, seed=7, num_samples=2)
    after = editing.resample(model, before, keep, seed=8)
    assert changed(before, after) == [t for t in (1, 2, 3, 4) if t not in keep]
    for t in keep:
        assert torch.equal(after.noise.eps[:, t - 1], before.noise.eps[:, t - 1])
        assert torch.equal(after.h[:, t], before.h[:, t])
        assert torch.equal(after.g[:, t], before.g[:, t])
    assert torch.equal(after.h[:, 0], before.h[:, 0])
    assert after.sentences == before.sentences


def test_with_the_first_frames_kept_it_equals_one_pass_over_the_story(model: StoryGAN, story: list[str]) -> None:
    after = editing.resample(model, model.generate(story, seed=7), [1, 2], seed=8)
    ordinary = generate_from_noise(model, after.stories, after.S, after.S_0, after.noise)
    assert np.abs(after.frames.astype(int) - ordinary.frames).max() <= 1  # rounding may differ by a level


def test_a_resampled_frame_continues_from_the_kept_frame_before_it(model: StoryGAN, story: list[str]) -> None:
    """Whether or not frame 1 is resampled, frames 3 and 4 continue from the kept frame 2."""
    before = model.generate(story, seed=7)
    one, other = (editing.resample(model, before, keep, seed=8) for keep in ([2], [1, 2]))
    assert np.array_equal(one.frames[:, 2:], other.frames[:, 2:])


def test_edits_compose(model: StoryGAN, story: list[str]) -> None:
    resampled = editing.resample(model, model.generate(story, seed=7), [1, 3], seed=8)
    after = editing.change_sentence(model, resampled, 4, NEW, keep_context=True)
    assert changed(resampled, after) == [4]
    assert changed(resampled, editing.extend(model, after, NEW)) == [4]


@pytest.mark.parametrize(("keep", "message"), [([5], "no frame 5"), ([0], "no frame 0"), ([1, 2, 3, 4], "all 4")])
def test_invalid_resample(storygan: StoryGAN, story: list[str], keep: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        editing.resample(storygan, storygan.generate(story), keep, seed=1)


# ---- interpolate ----


def test_interpolation_ends_at_the_other_h_0(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7)
    path = editing.interpolate(model, before, seed=8, steps=4)
    assert path.frames.shape == (4, 4, 64, 64, 3)
    assert np.array_equal(path.frames[0], before.frames[0])
    torch.testing.assert_close(path.h[3, 0], model.generate(story, seed=8).h[0, 0])
    assert torch.equal(path.noise.eps, before.noise.eps.expand(4, -1, -1))
    distance = (path.h[:, 0] - path.h[:1, 0]).norm(dim=1)
    assert (distance.diff() > 0).all()
    assert changed(path[0], path[1]) == [1, 2, 3, 4]


def test_slerp_keeps_the_norm_and_has_equal_angles() -> None:
    a, b = torch.randn(2, 5, 128, generator=torch.Generator().manual_seed(0))
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    third = slerp(a, b, 1 / 3)
    torch.testing.assert_close(third.norm(dim=1), torch.ones(5))
    torch.testing.assert_close((third * a).sum(1).acos() * 3, (a * b).sum(1).acos())
    assert torch.equal(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    torch.testing.assert_close(slerp(a, a, 0.5), a)


def test_invalid_interpolation(storygan: StoryGAN, story: list[str]) -> None:
    with pytest.raises(UsageError, match="steps is 1"):
        editing.interpolate(storygan, storygan.generate(story), 1, steps=1)
    with pytest.raises(UsageError, match="has 2 samples"):
        editing.interpolate(storygan, storygan.generate(story, num_samples=2), 1, steps=3)


# ---- extend ----


def test_extend_adds_a_frame_and_keeps_the_others(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7, num_samples=2)
    longer = editing.extend(model, before, NEW, seed=7)
    assert longer.frames.shape == (2, 5, 64, 64, 3)
    assert changed(before, longer) == []
    assert torch.equal(longer.h[:, 0], before.h[:, 0])
    with torch.no_grad():  # the same as T + 1 sentences in one pass, from the h_0 of the first T
        o = model.context_encoder(longer.S, longer.noise.eps, longer.h[:, 0], longer.noise.g_0)
        frames = to_uint8(model.image_generator(o.flatten(0, 1)).unflatten(0, (2, 5)))
    assert np.abs(frames.astype(int) - longer.frames).max() <= 1  # rounding may differ by a level


def test_the_added_frame_depends_on_its_sentence_and_seed(model: StoryGAN, story: list[str]) -> None:
    before = model.generate(story, seed=7)
    last = [
        editing.extend(model, before, sentence, seed).frames[0, 4]
        for sentence, seed in ((NEW, 0), (NEW, 1), (story[0], 0))
    ]
    assert not np.array_equal(last[0], last[1])
    assert not np.array_equal(last[0], last[2])


def test_an_extended_story_can_be_extended_and_edited(model: StoryGAN, story: list[str]) -> None:
    longer = editing.extend(model, model.generate(story, seed=7), NEW)
    longer = editing.extend(model, longer, story[0])
    assert longer.sentences == (*story, NEW, story[0])
    fifth = editing.change_sentence(model, longer, 5, story[1])  # h_0 is that of the first T, so nothing before changes
    assert np.abs(fifth.frames[:, :4].astype(int) - longer.frames[:, :4]).max() <= 1
    assert 5 in changed(longer, fifth)
    assert editing.resample(model, longer, [1, 2, 3, 4, 5], seed=3).frames.shape[1] == 6
    with pytest.raises(UsageError, match="cow"):
        editing.extend(model, longer, "a cow")


def test_edits_keep_the_aspect_ratio(storygan: StoryGAN, story: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storygan, "aspect_ratio", 4 / 3)
    output = storygan.generate(story)
    edits = (
        output[0],
        editing.change_sentence(storygan, output, 1, NEW),
        editing.resample(storygan, output, [1], seed=1),
        editing.interpolate(storygan, output, seed=1, steps=2),
        editing.extend(storygan, output, NEW),
    )
    assert {each.aspect_ratio for each in edits} == {4 / 3}
