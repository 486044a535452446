"""The model: sentences to frames, batches, model folders, model names."""

import copy
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from storygan import editing
from storygan.config import ModelConfig, Variant
from storygan.errors import StoryganError, UnknownWordWarning, UsageError
from storygan.models.accelerate import UpsampleConv2d
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.inference import batches, progress_bar
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import SHIPPED, StoryGAN, shipped_models
from storygan.text.clevr_encoder import ClevrEncoder

STORY = [
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2.3, -0.6)",
]


class PlainEncoder(ClevrEncoder):
    """Takes any sentence."""

    def encode(self, sentences: Sequence[str], cache: Path | None = None) -> np.ndarray:
        return np.array([[len(sentence)] * 128 for sentence in sentences], np.float32) / 100

    def understand(self, story: Sequence[str], before: Sequence[str] = ()) -> list[str]:
        return list(story)


CARTOON = ["It is snowing. Fay the fox stands in the snowy field.", "She finds a kite.", *["She cheers."] * 3]


@pytest.fixture(scope="module")
def model() -> StoryGAN:
    torch.manual_seed(0)
    return StoryGAN(ModelConfig(noise_dim=10), ClevrEncoder()).eval()


def test_generate_returns_frames(model: StoryGAN) -> None:
    frames = model.generate(STORY, num_samples=3, seed=1).frames
    assert frames.shape == (3, 4, 64, 64, 3)
    assert frames.dtype == np.uint8
    assert not np.array_equal(frames[0], frames[1])


def test_the_same_seed_gives_the_same_frames(model: StoryGAN) -> None:
    frames = model.generate(STORY, num_samples=2, seed=1).frames
    assert np.array_equal(frames, model.generate(STORY, num_samples=2, seed=1).frames)
    assert not np.array_equal(frames, model.generate(STORY, num_samples=2, seed=2).frames)


def test_more_samples_do_not_change_the_first() -> None:
    config = ModelConfig(noise_dim=10)
    few, many = (Noise.sample(n, config, torch.Generator().manual_seed(3)) for n in (2, 5))
    assert torch.equal(few.eps, many.eps[:2])
    assert torch.equal(few.eps_0, many.eps_0[:2])
    assert torch.equal(few.g_0, many.g_0[:2])


def test_batches_do_not_change_the_frames(model: StoryGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    stories = [STORY, STORY[::-1], STORY, STORY]
    frames = model.generate_dataset(stories)
    assert frames.shape == (4, 4, 64, 64, 3)
    S, noise = torch.from_numpy(model.encode(stories)), Noise.sample(4, model.config, seeded(0))
    monkeypatch.setattr("storygan.models.inference.BATCH_FRAMES", 12)  # three stories
    in_parts = model.sample(S, noise)
    assert np.abs(in_parts.astype(int) - frames).max() <= 1  # rounding may differ by a level


def test_a_data_set_may_have_longer_stories(model: StoryGAN) -> None:
    story = [*STORY, *STORY[:2]]
    assert np.array_equal(model.generate_dataset([story, story[::-1]])[0], model.generate(story).frames[0])


def test_generate_leaves_the_model_unchanged(model: StoryGAN) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    model.generate(STORY)
    assert model.training
    model.eval()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("story", "message"),
    [
        ([*STORY * 2, STORY[0]], r"stories of 1 to 8 sentences; this one has 9 \(`storygan edit extend`"),
        ([STORY, STORY[:3]], r"have 3 and 4 sentences: one call takes stories of one length, of 1 to 8"),
        ([*STORY[:3], " "], "a sentence is empty"),
        ([], "stories of 1 to 8 sentences; this one has 0"),
        ("a single string", "this one is a string"),
        ([*STORY[:3], "a large pink cube at (0, 0)"], "pink"),
        ([*STORY[:3], "large red rubber cube at (0, 3.5)"], "3.5"),
    ],
)
def test_an_invalid_story_is_an_error(model: StoryGAN, story: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.generate(story)


def test_free_text_gives_the_frames_of_its_canonical_sentences(model: StoryGAN) -> None:
    story = ["a big red ball in the middle", "a small shiny blue box left of it", "another one at the front", "a can"]
    understood = model.understand(story)
    assert understood[:2] == ["large red rubber sphere at (0.00, 0.00)", "small blue metal cube at (-1.42, -1.02)"]
    assert model.understand(STORY) == STORY
    assert model.understand(story[2:], before=understood[:2]) == understood[2:]
    assert np.array_equal(model.generate(story).frames, model.generate(understood).frames)


@pytest.mark.parametrize("variant", ["storygan", "imagegan", "svc", "svfn"])
def test_stories_of_other_lengths(variant: Variant) -> None:
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(noise_dim=10, variant=variant), ClevrEncoder()).eval()
    whole = model.generate(STORY, seed=3, num_samples=2)
    longer = [*STORY, "a small red ball at the back", "another one"]
    extended = whole
    for sentence in longer[4:]:
        extended = editing.extend(model, extended, sentence, seed=3)
    frames = model.generate(longer, num_samples=2, seed=3).frames
    assert frames.shape == (2, 6, 64, 64, 3)
    assert np.abs(frames.astype(int) - extended.frames).max() <= 1, "the frames that extend adds"
    short = model.generate(STORY[:2], num_samples=2, seed=3)
    assert short.frames.shape == (2, 2, 64, 64, 3)
    assert torch.equal(short.noise.eps, whole.noise.eps[:, :2])
    assert not np.array_equal(short.frames, whole.frames[:, :2]), "h_0 knows fewer sentences"


def test_the_context_of_a_short_story_is_padded_with_the_mean_sentence(model: StoryGAN) -> None:
    S = torch.randn(2, 3, 128)
    assert torch.equal(model.context_sentences(S), torch.cat([S, torch.zeros(2, 1, 128)], dim=1))
    longer = torch.randn(2, 6, 128)
    assert torch.equal(model.context_sentences(longer), longer[:, :4])


def test_words_that_were_not_in_training_are_named(model: StoryGAN) -> None:
    model = copy.copy(model)
    model.sentence_encoder = PlainEncoder()
    assert model.unknown_words(["a fox"]) == "", "an old model has no vocabulary"
    model.sentence_encoder.vocabulary = ("fox", "kite")
    assert model.unknown_words(["The foxes have a kite."]) == ""
    with pytest.warns(UnknownWordWarning, match=r"^'knight', 'castle': not in .* this model; known: fox, kite$"):
        frames = model.generate(["A knight and a fox", "at the castle"]).frames
    assert frames.shape == (1, 2, 64, 64, 3), "generation goes on"


def test_a_saved_model_loads(model: StoryGAN, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "model.safetensors",
        "sentence_encoder.json",
        "sentence_encoder.safetensors",
        "README.md",
    }
    again = StoryGAN.from_pretrained(tmp_path)
    assert again.config == model.config
    assert not again.training
    assert sum(isinstance(module, UpsampleConv2d) for module in again.modules()) == 4, "accelerated"
    assert np.array_equal(again.generate(STORY, seed=5).frames, model.generate(STORY, seed=5).frames)


def test_half_weights_take_half_the_size(model: StoryGAN, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "full")
    StoryGAN.from_pretrained(tmp_path / "full").half_weights().save_pretrained(tmp_path / "half")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.51 * sizes[0]
    again = StoryGAN.from_pretrained(tmp_path / "half")
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    difference = again.generate(STORY).frames.astype(int) - model.generate(STORY).frames
    assert np.abs(difference).mean() < 1


def test_a_missing_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="no model 'clevr'"):
        StoryGAN.from_pretrained("clevr")
    with pytest.raises(StoryganError, match="is not a model folder"):
        StoryGAN.from_pretrained(tmp_path)


def test_a_config_that_does_not_fit_the_weights_is_refused(model: StoryGAN, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    for wrong in ({"T": 5}, {"variant": "other"}, {"layers": 3}):
        config = {"variant": "storygan", "T": 4, "noise_dim": 10} | wrong
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(StoryganError):
            StoryGAN.from_pretrained(tmp_path)


def test_truncated_weights_are_refused(model: StoryGAN, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(StoryganError, match="cannot be loaded"):
        StoryGAN.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_generate(name: str) -> None:
    model = StoryGAN.from_pretrained(name)
    assert model.sentence_encoder is not None
    frames = model.generate(STORY if model.sentence_encoder.kind == "clevr" else CARTOON, seed=7).frames
    assert frames.std() > 5  # not an empty floor
    assert model.card.startswith("---")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_several_batches_show_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress_bar(batches(64, 4), "batch")) == [slice(0, 64)]
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    assert len(list(progress_bar(batches(130, 4), "batch"))) == 3
    assert "generate: 100%" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_log_has_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar(range(99), "step", least=65)) == list(range(99))
    assert capsys.readouterr().err == ""


def test_a_story_of_many_frames_is_a_batch() -> None:
    assert batches(3, 100) == [slice(0, 2), slice(2, 4)]
    assert batches(2, 1000) == [slice(0, 1), slice(1, 2)]


def test_files_of_version_0_1_load(model: StoryGAN, tmp_path: Path) -> None:
    """They have a checksum in the metadata of safetensors, another name for `circle`, and other keys of classifiers."""
    model.save_pretrained(tmp_path)
    config = {"variant": "storygan", "T": 4, "noise_dim": 10, "noise": "circles"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for name in ("model", "sentence_encoder"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(save(load(path.read_bytes()), metadata={"sha256": "0" * 64}))
    again = StoryGAN.from_pretrained(tmp_path)
    assert again.config.noise == "circle"
    assert np.array_equal(again.encode([STORY]), model.encode([STORY]))
    classifier = AttributeClassifier(["dog"], {"locations": True}, yaw=True)
    classifier.save(tmp_path / "C")
    settings = {"labels": ["dog"], "about": {"places": True}, "turns": True}
    (tmp_path / "C" / "classifier.json").write_text(json.dumps(settings))
    loaded = AttributeClassifier.load(tmp_path / "C")
    assert loaded.predicts_locations
    assert loaded.predicts_yaw
    assert set(loaded.state_dict()) >= {"places.0.weight", "turns.0.weight"}


def test_the_aspect_ratio_is_saved_and_loaded(model: StoryGAN, tmp_path: Path) -> None:
    model.aspect_ratio = 1.5
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["aspect_ratio"] == 1.5
    assert StoryGAN.from_pretrained(tmp_path).aspect_ratio == 1.5


@pytest.mark.parametrize(("name", "expected"), [("clevr-sv", 4 / 3), ("toon-sv", 1)])
def test_a_folder_of_version_0_1_has_the_aspect_ratio_of_its_encoder(
    name: str, expected: float, tmp_path: Path
) -> None:
    folder = copytree(SHIPPED / name, tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    del config["aspect_ratio"]
    (folder / "config.json").write_text(json.dumps(config))
    assert StoryGAN.from_pretrained(folder).aspect_ratio == expected


@pytest.mark.parametrize("value", [0, -1, 11, "wide", [1], float("nan")])
def test_an_invalid_aspect_ratio_is_refused(model: StoryGAN, tmp_path: Path, value: object) -> None:
    model.aspect_ratio = value  # type: ignore[assignment]
    model.save_pretrained(tmp_path)
    with pytest.raises(StoryganError, match="cannot be loaded"):
        StoryGAN.from_pretrained(tmp_path)


def test_aspect_ratios_of_the_shipped_models() -> None:
    assert {name: StoryGAN.from_pretrained(name).aspect_ratio for name in shipped_models()} == {
        "clevr-sv": 4 / 3,
        "toon-sv": 1,
    }
