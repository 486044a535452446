"""Model cards: complete for the hub, and correct; errors of model folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from storygan.config import DataConfig, ModelConfig, TrainConfig
from storygan.errors import StoryganError, UsageError
from storygan.models.model_card import add_results, make_card, read_card
from storygan.models.storygan import SHIPPED, StoryGAN, shipped_models
from storygan.text.clevr_encoder import ClevrEncoder

REPORT = {
    "data": "clevr",
    "split": "test",
    "stories": 100,
    "seed": 0,
    "metrics": {
        "real_frames": {"object_accuracy": {"mean": 0.93, "low": 0.9, "high": 0.96, "stories": 100}},
        "model": {
            "object_accuracy": {"mean": 0.51234, "low": 0.4, "high": 0.6, "stories": 100},
            "diversity_rms_01": {"mean": 0.05, "low": 0.04, "high": 0.06, "stories": 50},
        },
    },
}


def front_matter(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def test_make_card() -> None:
    folders = {"run": "/home/me/runs/b", "init_from": "/home/me/runs/a/model", "aux_classifier": "/home/me/runs/c"}
    training = TrainConfig(**folders, data=DataConfig("/home/me/data/clevr"))  # type: ignore[arg-type]
    card = make_card(ModelConfig("svc", T=5), "clevr", training, 400, 2000, "12.3 minutes on 2 cores (x86_64)", "mit")
    assert front_matter(card) == {
        "language": "en",
        "license": "mit",
        "library_name": "storygan",
        "pipeline_tag": "text-to-image",
        "tags": ["story-visualization", "text-to-image", "gan", "svc", "clevr-sv"],
    }
    assert "400 iterations on 2,000 stories, in 12.3 minutes on 2 cores (x86_64).\n" in card
    assert "It was initialized from `a/model`." in card
    assert "variant: svc" not in card.split("```yaml")[0]
    for line in ("run: b\n", "init_from: a/model\n", "aux_classifier: c\n", "path: clevr\n"):
        assert line in card
    assert "/home/me" not in card


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_cards_are_complete(name: str) -> None:
    text = (SHIPPED / name / "README.md").read_text()
    fields = front_matter(text)
    assert {
        name for name in ("language", "license", "library_name", "pipeline_tag", "tags") if not fields.get(name)
    } == set()
    assert fields["license"] != "other"
    for heading in ("## Training", "## Evaluation", "## Limitations"):
        assert heading in text


def test_a_card_without_a_license_says_so() -> None:
    fields = front_matter(make_card(ModelConfig()))
    assert (fields["license"], fields["license_name"]) == ("other", "not-stated")


def test_results_go_into_text_and_front_matter_and_are_replaced() -> None:
    card = add_results(make_card(ModelConfig()), REPORT)
    assert "Not evaluated" not in card
    assert "| `object_accuracy` | 0.930 (0.900 to 0.960) | 0.512 (0.400 to 0.600) |" in card
    assert "| `diversity_rms_01` |  | 0.050 (0.040 to 0.060) |" in card
    assert card.index("## Evaluation") < card.index("## Limitations")
    results = ModelCard(card).data.eval_results
    assert [(result.metric_type, result.metric_value) for result in results] == [
        ("object_accuracy", 0.5123),
        ("diversity_rms_01", 0.05),
    ]
    assert {(result.dataset_name, result.dataset_split) for result in results} == {("clevr", "test")}
    assert add_results(card, REPORT) == card


def test_results_of_a_subset_say_so() -> None:
    card = add_results(make_card(ModelConfig()), {**REPORT, "id_prefix": "toon-test-pair"})
    assert "split test, seed 0, the stories whose ids begin with toon-test-pair, with" in card
    assert {result.dataset_config for result in ModelCard(card).data.eval_results} == {"toon-test-pair"}


def test_results_are_added_to_a_custom_card() -> None:
    card = add_results("---\nlicense: mit\n---\n# Mine\n\nA text.\n", REPORT)
    assert front_matter(card)["license"] == "mit"
    assert "A text.\n\n## Evaluation\n\nOn 100 stories of clevr, split test" in card


def test_results_are_added_to_a_card_without_front_matter(capfd: pytest.CaptureFixture[str]) -> None:
    card = add_results("# Mine\n", REPORT)
    assert front_matter(card)["library_name"] == "storygan"
    assert "# Mine\n\n## Evaluation" in card
    assert capfd.readouterr().err == ""


BAD_MATTER = ["foo: [1, 2", "- a", "model-index: 3", "a: &a [1]\nb: *a", "model-index: [{}]", "tags: {"]


@pytest.mark.parametrize("matter", BAD_MATTER)
def test_an_invalid_front_matter_is_an_error(matter: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\n{matter}\n---\n# Mine\n")
    with pytest.raises(UsageError, match=r"README\.md is not a valid model card: "):
        read_card(tmp_path / "README.md")


def test_save_pretrained_keeps_an_existing_card(tmp_path: Path) -> None:
    model = StoryGAN(ModelConfig(noise_dim=3), ClevrEncoder())
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert front_matter(card)["library_name"] == "storygan"
    again = StoryGAN.from_pretrained(tmp_path)
    again.card += "\nMine.\n"
    again.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == f"{card}\nMine.\n"


def test_files_of_a_model_folder_are_readable_by_all(tmp_path: Path) -> None:
    StoryGAN(ModelConfig(noise_dim=3), ClevrEncoder()).save_pretrained(tmp_path)
    assert {
        path.name: path.stat().st_mode & 0o444 for path in tmp_path.iterdir() if path.stat().st_mode & 0o444 != 0o444
    } == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("story_encoder.mu.bias"), "model.safetensors has no 'story_encoder.mu.bias'"),
        (
            lambda state: state.update(more=torch.zeros(1)),
            r"model.safetensors has 'more', which is not in a model",
        ),
        (
            lambda state: state.update({"story_encoder.mu.bias": torch.zeros(7)}),
            r"the shape of 'story_encoder.mu.bias' is \(7,\), but config.json requires \(128,\)",
        ),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(change: object, message: str, tmp_path: Path) -> None:
    StoryGAN(ModelConfig(noise_dim=3), ClevrEncoder()).save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    change(state)  # type: ignore[operator]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(StoryganError, match=message) as caught:
        StoryGAN.from_pretrained(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
