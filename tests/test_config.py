"""The configuration: errors, round trips, dotted overrides, and the shipped YAML files."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from storygan.cli.commands import main
from storygan.config import (
    GeneratorConfig,
    GeneratorLoss,
    ImageDiscriminatorConfig,
    ImageDiscriminatorLoss,
    ModelConfig,
    StageConfig,
    TrainConfig,
)
from storygan.errors import UsageError

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
QUICKSTART = next(path for path in CONFIGS if path.stem == "quickstart")
Errors = pytest.CaptureFixture[str]


def stage(**options: Any) -> StageConfig:
    """Return a stage that trains the generator."""
    return StageConfig(**{"G": GeneratorConfig(loss=GeneratorLoss(mse=1)), **options})


def test_the_configurations_ship() -> None:
    names = "ablation authors clevr-sv comparison flintstones-sv own-stories paper pororo-sv quickstart toon-sv"
    assert {path.stem for path in CONFIGS} == set(names.split())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_round_trips(path: Path) -> None:
    config = TrainConfig.from_dict(yaml.safe_load(path.read_text()))
    assert config.stages
    assert config.run == f"runs/{path.stem}"
    assert TrainConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_the_papers_configuration_has_no_extensions() -> None:
    config = TrainConfig.from_dict(yaml.safe_load((CONFIGS[0].parent / "paper.yaml").read_text()))
    (adversarial,) = config.stages.values()
    learning = adversarial.learning()
    assert {name: {k: v for k, v in vars(network.loss).items() if v} for name, network in learning.items()} == {
        "D_I": {"L_image": 1},
        "D_S": {"L_story": 1},
        "G": {"L_image": 1, "L_story": 1, "L_KL": 1},
    }
    assert {(n.lr, n.lr_schedule, n.betas, n.steps) for n in learning.values()} == {(2e-4, "halving", (0.5, 0.999), 1)}
    own = ("iterations", "batch_size", "D_I", "D_S", "G", "gan_loss")
    off = {name: value for name, value in vars(StageConfig()).items() if name not in own}
    assert {name: getattr(adversarial, name) for name in off} == off
    assert adversarial.gan_loss == "saturating"
    plain = TrainConfig()
    assert (config.discriminator, config.initialization) == (plain.discriminator, "dcgan")
    assert config.model == ModelConfig("storygan", 4, 100, "normal")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": ""}, "run is empty: name a folder"),
        ({"seed": -1}, "seed -1"),
        ({"precision": "fp16"}, "unknown precision 'fp16': choose one of fp32, bf16"),
        ({"initialization": "zeros"}, "unknown initialization 'zeros': choose one of dcgan, pytorch"),
        ({"threads": -1}, "threads is -1: give 1 to 1,024, or 0 for one for each core"),
        ({"log_every": 0}, "log_every is 0: it must be at least 1"),
        ({"keep_checkpoints": 0}, "keep_checkpoints is 0: it must be at least 1"),
        ({"validation": {"every": -1}}, "validation.every is -1: it must be 0 or more"),
        ({"validation": {"stories": 0}}, "validation.stories is 0: it must be at least 1"),
        ({"model": {"variant": "dcgan"}}, "unknown variant 'dcgan': choose one of storygan, imagegan, svc, svfn"),
        ({"model": {"noise": "pink"}}, "unknown noise 'pink': choose one of normal, circle"),
        ({"model": {"T": -1}}, "model.T is -1: it must be a whole number from 0 to 2,000"),
        ({"model": {"noise_dim": 0}}, "model.noise_dim is 0: it must be a whole number from 1"),
        ({"discriminator": {"norm": "layer"}}, "unknown norm 'layer': choose one of batch, none"),
        ({"colour": 3}, "unexpected keyword argument 'colour'"),
        ({"model": {"colour": 3}}, "unexpected keyword argument 'colour'"),
        ({"model": 5}, "does not fit this version of storygan"),
        ({"stages": 5}, "does not fit this version of storygan"),
        ({"stages": {"a": None}}, "does not fit this version of storygan"),
        ({"iterations": 5}, "iterations"),
        ({"adam": {"beta1": 0.5}}, "unexpected keyword argument 'adam'"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig.from_dict(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "stages.a.iterations is 0: it must be at least 1"),
        ({"r1_every": 0}, "stages.a.r1_every is 0: it must be at least 1"),
        ({"batch_size": 1}, "stages.a.batch_size is 1: batch normalization needs at least 2 stories"),
        ({"ema": 1.0}, "stages.a.ema is 1.0: it must be in [0, 1)"),
        ({"ema": float("nan")}, "stages.a.ema is nan"),
        ({"foreground_weight": -1.0}, "stages.a.foreground_weight is -1.0: it must be 0 or more"),
        ({"foreground_weight": float("inf")}, "stages.a.foreground_weight is inf"),
        ({"G": {"lr": -1.0}}, "stages.a.G.lr is -1.0: it must be 0 or more"),
        ({"G": {"lr_schedule": "step"}}, "unknown lr_schedule 'step': choose one of constant, cosine, halving"),
        ({"G": {"betas": [0.9, 1.0]}}, "stages.a.G.betas is [0.9, 1.0]: both must be in [0, 1)"),
        ({"G": {"steps": 0}}, "stages.a.G.steps is 0: it must be at least 1"),
        ({"G": {"loss": {"mse": float("nan")}}}, "stages.a.G.loss.mse is nan: it must be 0 or more"),
        ({"G": {"loss": {"mse": -1.0}}}, "stages.a.G.loss.mse is -1.0: it must be 0 or more"),
        ({"G": {"loss": {}}}, "stages.a.G has no loss: name one of L_image, L_story, L_KL, mse, aux, label"),
        (
            {"G": {"loss": {"L_image": 1}, "adversarial_ratio": 4}},
            "G.adversarial_ratio is a ratio to mse and aux",
        ),
        ({"G": {"loss": {"mse": 1}, "adversarial_ratio": 4}}, "adversarial_ratio scales L_image, L_story and label"),
        ({"D_I": {}}, "stages.a.D_I has no loss: name one of L_image, r1, r2, label"),
        ({"D_S": {}}, "stages.a.D_S has no loss: name one of L_story, r1"),
        ({"C": {}}, "stages.a.C has no loss: name one of label, present, attributes, direction"),
        ({"G": None}, "stages.a trains no network: name one, G, D_I, D_S or C, with its loss"),
        ({"colour": 3}, "unexpected keyword argument 'colour'"),
        ({"G": {"colour": 3}}, "unexpected keyword argument 'colour'"),
        ({"G": {"loss": {"alfa": 3}}}, "unexpected keyword argument 'alfa'"),
        ({"G": {"loss": {"L_fake": 1}}}, "unexpected keyword argument 'L_fake'"),
        ({"iterations": "many"}, "does not fit this version of storygan"),
        ({"G": {"betas": 5}}, "does not fit this version of storygan"),
    ],
)
def test_an_error_in_a_stage_is_named(options: dict[str, Any], message: str) -> None:
    fields = {**options, "G": options.get("G", {"loss": {"mse": 1.0}})}
    if fields["G"] is not None:
        fields["G"] = {"loss": {"mse": 1.0}, **fields["G"]}
    with pytest.raises(UsageError) as caught:
        TrainConfig.from_dict({"stages": {"a": fields}})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "a.b", "a\n"])
def test_a_stage_name_must_be_a_folder_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a stage: use letters, digits, - and _"):
        TrainConfig(stages={"fine-1_a": stage(), name: stage()})


def test_stages_keep_their_order_and_add_up() -> None:
    config = TrainConfig(stages={"b": stage(iterations=3), "a": stage(iterations=4)})
    again = TrainConfig.from_dict(config.to_dict())
    assert list(again.stages) == ["b", "a"]
    assert config.iterations == 7
    assert "iterations" not in config.to_dict()


def test_a_stage_needs_the_networks_of_its_terms() -> None:
    """It needs the networks that learn, and those that a term of the generator uses."""
    assert {name: stage().needs(name) for name in ("G", "D_I", "D_S", "C")} == {
        "G": True,
        "D_I": False,
        "D_S": False,
        "C": False,
    }
    terms = {"L_image": "D_I", "label": "D_I", "L_story": "D_S", "aux": "C", "L_KL": "G"}
    for term, network in terms.items():
        assert stage(G=GeneratorConfig(loss=GeneratorLoss(**{term: 0.5}))).needs(network), term
    D_I = ImageDiscriminatorConfig(loss=ImageDiscriminatorLoss(L_image=1))
    assert StageConfig(D_I=D_I).needs("D_I")
    assert list(StageConfig(D_I=D_I, G=stage().G).learning()) == ["D_I", "G"]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Collect the configurations that `storygan train` trains."""
    found: list[TrainConfig] = []
    monkeypatch.setattr("storygan.training.loop.train", lambda config, *_, **__: found.append(config))
    return found


def test_fields_of_a_stage_are_options(parsed: list[TrainConfig]) -> None:
    """Other fields keep the values of the file."""
    options = ["--stages.adversarial.iterations", "10", "--stages.adversarial.G.loss.L_KL=0.5"]
    options += ["--stages.discriminators.D_I.betas", "[0.1, 0.2]", "--stages.reconstruction.shards", "[0]"]
    assert main(["train", str(QUICKSTART), *options]) == 0
    before = TrainConfig.from_dict(yaml.safe_load(QUICKSTART.read_text()))
    stages = before.stages
    G, D_I = stages["adversarial"].G, stages["discriminators"].D_I
    assert G is not None
    assert D_I is not None
    wanted = {
        "reconstruction": replace(stages["reconstruction"], shards=[0]),
        "discriminators": replace(stages["discriminators"], D_I=replace(D_I, betas=(0.1, 0.2))),
        "adversarial": replace(stages["adversarial"], iterations=10, G=replace(G, loss=replace(G.loss, L_KL=0.5))),
    }
    assert parsed == [replace(before, stages=wanted)]


def test_the_command_line_names_loggers(
    parsed: list[TrainConfig], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]  # not installed
    monkeypatch.setitem(sys.modules, "trackio", ModuleType("trackio"))
    assert main(["train", str(QUICKSTART), "--logger", "wandb", "trackio"]) == 2
    assert capsys.readouterr().err == "storygan: WandbLogger needs wandb: pip install wandb\n"
    assert main(["train", str(QUICKSTART), "--logger", "trackio"]) == 0
    assert len(parsed) == 1


def test_a_network_of_a_stage_is_turned_off_and_on(parsed: list[TrainConfig]) -> None:
    options = ["--stages.discriminators.D_S", "null", "--stages.reconstruction.C.loss.label", "1"]
    assert main(["train", str(QUICKSTART), *options]) == 0
    (config,) = parsed
    assert list(config.stages["discriminators"].learning()) == ["D_I"]
    assert list(config.stages["reconstruction"].learning()) == ["C", "G"]


def test_stages_without_a_file(parsed: list[TrainConfig]) -> None:
    assert main(["train", "--data.path", "x", "--stages.a.G.loss.mse", "1", "--stages.a.iterations", "3"]) == 0
    assert parsed[0].stages == {"a": stage(iterations=3)}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("nope.iterations", "3"), "--stages.nope: there is no such stage in"),
        (("nope.G.loss.mse", "3"), "it has reconstruction, discriminators, adversarial"),
        (("adversarial.colour", "3"), "--stages: there is no colour (see storygan train --help)"),
        (("adversarial.G.loss.L_fake", "3"), "--stages: G: there is no loss.L_fake (see"),
        (("adversarial.G.lr_schedule", "step"), "--stages: G.lr_schedule step: give one of constant, cosine, halving"),
        (("adversarial.iterations", "many"), "--stages: iterations many: give a whole number (see"),
        (("adversarial.mismatched", "3"), "--stages: mismatched 3: give true or false (see"),
        (("adversarial.gan_loss", "hinge"), "--stages: gan_loss hinge: give one of saturating, non-saturating, relat"),
        (("adversarial.G.loss.mse", "x"), "--stages: G.loss.mse x: give a number (see"),
        (("adversarial.G.loss.mse", "-1"), "stages.adversarial.G.loss.mse is -1.0: it must be 0 or more"),
        (("reconstruction.G", "null"), "stages.reconstruction trains no network"),
    ],
)
def test_a_wrong_option_is_one_line(
    parsed: list[TrainConfig], capsys: Errors, option: tuple[str, str], message: str
) -> None:
    try:
        code: object = main(["train", str(QUICKSTART), f"--stages.{option[0]}={option[1]}"])
    except SystemExit as stop:  # the parser's own errors
        code = stop.code
    error = capsys.readouterr().err
    assert (code, parsed) == (2, [])
    assert message in error
    assert error.count("\n") == 1


def test_an_unknown_field_of_a_stage_in_a_file_is_one_line(tmp_path: Path, capsys: Errors) -> None:
    (tmp_path / "c.yaml").write_text("data: {path: x}\nstages: {a: {G: {loss: {mse: 1}, lr_shedule: cosine}}}\n")
    with pytest.raises(SystemExit) as stop:
        main(["train", str(tmp_path / "c.yaml")])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "storygan: --stages: G: there is no lr_shedule (see storygan train --help)\n"
