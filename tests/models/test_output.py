"""`StoryOutput`: what `StoryGAN.generate` returns, its pictures, and regenerating its frames."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.editing import conftest
from tests.editing.conftest import STORY, random_model

from storygan import StoryGAN, editing, viz
from storygan.config import VARIANTS, Variant
from storygan.errors import UsageError
from storygan.models.noise import Noise, seeded
from storygan.models.output import StoryOutput, regenerate

OTHER = [STORY[1], STORY[0], STORY[3], STORY[2]]
model, storygan, story = conftest.model, conftest.storygan, conftest.story  # fixtures


@pytest.fixture(scope="module")
def output() -> StoryOutput:
    """Two samples, wide frames."""
    model = random_model("storygan")
    model.aspect_ratio = 4 / 3
    return model.generate(STORY, num_samples=2, seed=7)


def near(frames: np.ndarray, others: np.ndarray) -> bool:
    """Return whether frames are equal but for rounding, which differs between batches by a level."""
    return frames.shape == others.shape and np.abs(frames.astype(int) - others).max() <= 1


def test_frames_equal_those_of_the_network(model: StoryGAN) -> None:
    output = model.generate(STORY, 2, 7)
    S = torch.from_numpy(model.encode([STORY, STORY]))
    assert np.array_equal(output.frames, model.sample(S, Noise.sample(2, model.config, seeded(7))))
    assert output.frames.std() > 10
    assert output.sentences == tuple(STORY)
    assert output.seeds == (7, 7)


def test_a_story_with_a_seed_gives_the_same_frames_alone_and_among_others(storygan: StoryGAN) -> None:
    alone = [storygan.generate(story, 2, seed) for story, seed in ((STORY, 5), (OTHER, 3))]
    together = storygan.generate([STORY, OTHER], 2, seed=[5, 3])
    assert together.seeds == (5, 5, 3, 3)
    assert together.stories == (*alone[0].stories, *alone[1].stories)
    assert near(together.frames, np.concatenate([each.frames for each in alone]))
    assert torch.equal(together.noise.eps, torch.cat([each.noise.eps for each in alone]))


def test_stories_take_one_seed_after_the_other(storygan: StoryGAN) -> None:
    output = storygan.generate([STORY, STORY, OTHER], seed=np.int64(4))
    assert output.seeds == (4, 5, 6)
    assert storygan.generate([STORY]).seeds == (0,)


def test_a_generator_gives_seeds_that_give_the_frames_again(storygan: StoryGAN) -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (storygan.generate([STORY, OTHER], generator=generator) for _ in range(2))
    assert len({*first.seeds, *second.seeds}) == 4
    assert near(second[1].frames, storygan.generate(OTHER, seed=second.seeds[1]).frames)
    again = storygan.generate([STORY, OTHER], generator=torch.Generator().manual_seed(1))
    assert np.array_equal(again.frames, first.frames)


def test_images_at_display_aspect(output: StoryOutput) -> None:
    assert [len(images) for images in output.images] == [4, 4]
    assert {image.size for images in output.images for image in images} == {(256, 192)}
    shown = np.asarray(output.images[1][2])
    assert np.array_equal(shown, viz.enlarge(output.frames[1, 2], aspect_ratio=4 / 3))


def test_images_as_arrays_and_tensors(storygan: StoryGAN) -> None:
    array, tensor = (storygan.generate(STORY, output_type=kind) for kind in ("np", "pt"))
    assert array.images.dtype == np.float32
    assert np.array_equal((array.images * 255).round().astype(np.uint8), array.frames)
    assert tensor.images.shape == (1, 4, 3, 64, 64)
    assert torch.equal(tensor.images.movedim(2, -1), torch.from_numpy(array.images))
    edited = editing.change_sentence(storygan, array, 2, STORY[0])
    assert edited.images.shape == (1, 4, 64, 64, 3), "edits keep the type"
    assert edited.seeds == array.seeds


def test_a_notebook_shows_the_strip(output: StoryOutput, tmp_path: Path) -> None:
    output.save(tmp_path / "strip.png")
    assert output._repr_png_() == (tmp_path / "strip.png").read_bytes()
    assert repr(output) == "StoryOutput(2 samples of 4 frames)"
    with Image.open(io.BytesIO(output._repr_png_())) as strip:
        first = np.asarray(strip)[6 : 6 + 192, 6 : 6 + 256]
    assert np.array_equal(first, np.asarray(output.images[0][0]))


def test_save_a_gif_and_a_folder(output: StoryOutput, tmp_path: Path) -> None:
    output.save(str(tmp_path / "story.gif"))
    with Image.open(tmp_path / "story.gif") as gif:
        assert gif.n_frames == 4
    output[1].save(tmp_path / "frames")
    with Image.open(tmp_path / "frames" / "story-1-frame-3.png") as frame:
        assert np.array_equal(np.asarray(frame), output.frames[1, 2])
    with pytest.raises(UsageError, match="ends in"):
        output.save(tmp_path / "story.txt")


def test_each_story_has_its_captions(storygan: StoryGAN, tmp_path: Path) -> None:
    both = storygan.generate([STORY, OTHER], num_samples=2)
    assert [list(row.captions) for row in both.rows()] == [[], STORY, [], OTHER]
    both.save(tmp_path / "both.png")
    both.save(tmp_path / "both.gif")
    one, two = both[:2], both[2:]
    assert (one.sentences, two.sentences) == (tuple(STORY), tuple(OTHER))
    with pytest.raises(UsageError, match=r"samples of 2 stories: take those of one, output\[a:b\]"):
        editing.resample(storygan, both, [1], seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": [1, 2, 3]}, "3 seeds for 2 stories"),
        ({"seed": [1, -2]}, "seed -2: use 0 to"),
        ({"seed": 0, "generator": torch.Generator()}, "give seed or generator, not both"),
        ({"output_type": "latent"}, "output_type is 'latent': use one of pil, np, pt"),
        ({"num_samples": 0}, "num_samples is 0"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(storygan: StoryGAN, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        storygan.generate([STORY, OTHER], **options)


def test_regenerating_with_the_same_noise_gives_the_same_frames(model: StoryGAN, story: list[str]) -> None:
    output = model.generate(story, seed=7)
    for first, last in ((1, 4), (2, 3), (4, 4)):
        again = regenerate(model, output, first, last)
        assert near(again.frames, output.frames)
        torch.testing.assert_close(again.h, output.h)
        torch.testing.assert_close(again.g, output.g)


def test_a_sample_of_several_can_be_edited(model: StoryGAN, story: list[str]) -> None:
    output = model.generate(story, seed=7, num_samples=3)
    for k in (0, 2, -1):
        one = output[k]
        assert len(one) == 1
        assert np.array_equal(one.frames[0], output.frames[k])
        edited = editing.change_sentence(model, one, 4, story[0], keep_context=True)
        assert np.array_equal(edited.frames[0, :3], output.frames[k, :3])
    with pytest.raises(IndexError):
        output[3]


def test_several_batches(storygan: StoryGAN, story: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    in_one = storygan.generate(story, num_samples=3)
    monkeypatch.setattr("storygan.models.inference.BATCH_FRAMES", 8)
    output = storygan.generate(story, num_samples=3)
    assert len(output) == 3
    last = editing.resample(storygan, output, keep=[1, 2, 3], seed=1)
    assert np.array_equal(last.frames[:, :3], output.frames[:, :3])
    assert near(output.frames, in_one.frames)


@pytest.mark.parametrize("variant", VARIANTS)
def test_edits_change_neither_model_nor_output(variant: Variant, story: list[str]) -> None:
    model = random_model(variant)
    output = model.generate(story, seed=7)
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
        storygan.generate(story)
