"""`train` writes, resumes and refuses runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from tests.run_folders import differences
from tests.training.tiny import D_I, G, stages, tiny_config

from storygan.config import ModelConfig, StageConfig, TrainConfig
from storygan.errors import StoryganError, UsageError
from storygan.models.attribute_classifier import SHIPPED
from storygan.models.storygan import StoryGAN
from storygan.training import loop
from storygan.training.checkpoint import load_checkpoint, newest_checkpoint
from storygan.training.loop import iteration, train
from storygan.training.stage_folder import load_stage, resize_story_encoder


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of all four stages."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(data, run, keep_checkpoints=4))
    return run


def test_a_run_folder_is_complete(whole_run: Path) -> None:
    names = {path.name.split(".")[0] for path in whole_run.iterdir() if path.name != ".lock"}
    assert names == {"config", "metrics", "events", "samples", "checkpoints", "model", "stages"}
    assert [line["step"] for line in metrics(whole_run)] == list(range(1, 9))
    assert [line["stage"] for line in metrics(whole_run)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert yaml.safe_load((whole_run / "config.yaml").read_text())["model"]["T"] == 2  # the data set's


def test_a_stage_computes_the_terms_that_it_names_and_no_other(whole_run: Path) -> None:
    D = {f"D_I/{term}" for term in ("L_image", "r1", "real", "fake", "label")} | {
        f"D_S/{term}" for term in ("L_story", "r1", "real", "fake")
    }
    expected = [
        {"C/label", "C/present", "C/attributes"},
        {"G/mse", "G/L_KL", "G/aux"},
        D,
        D | {f"G/{term}" for term in ("L_image", "L_story", "L_KL", "mse", "label")},
    ]
    lines = metrics(whole_run)
    for k, line in enumerate(lines):
        assert set(line) - {"step", "stage"} == expected[k // 2]
    for network in ("D_I", "D_S"):  # R1 is computed in every second iteration
        assert lines[4][f"{network}/r1"] == lines[5][f"{network}/r1"] != lines[6][f"{network}/r1"]


def test_every_stage_leaves_its_networks_and_those_before(whole_run: Path) -> None:
    folders = sorted((whole_run / "stages").iterdir())
    assert [folder.name for folder in folders] == [
        "1-aux-classifier",
        "2-reconstruction",
        "3-discriminators",
        "4-adversarial",
    ]
    for number, folder in enumerate(folders):
        start = load_stage(folder)
        assert set(start.states) == ({"G"} if number < 2 else {"G", "D_I", "D_S"})
        assert start.classifier is not None
        assert not list(folder.glob("*.pt")) + list(folder.glob("*.pkl"))
    one, last = (StoryGAN.from_pretrained(folder).state_dict() for folder in (folders[-1], whole_run / "model"))
    assert all(torch.equal(value, last[name]) for name, value in one.items())


def test_the_model_of_a_run_generates(whole_run: Path) -> None:
    frames = StoryGAN.from_pretrained(whole_run / "model").generate(["small red metal cube at (0, 0)"] * 2).frames
    assert frames.shape == (1, 2, 64, 64, 3)


def test_a_stage_starts_from_the_ema_weights_with_the_discriminators_of_the_stage_before(whole_run: Path) -> None:
    """The third stage does not train G; the fourth's discriminators are two small Adam steps further."""
    end_of_2, end_of_3, end = (load_checkpoint(whole_run / f"checkpoints/step-{k:08d}.pt") for k in (4, 6, 8))
    for name, value in end_of_3["G"].items():
        assert torch.equal(value, end_of_2["ema"][f"module.{name}"]), name
    assert any(not torch.equal(end_of_2["G"][name], value) for name, value in end_of_3["G"].items())
    moved = max((end["D_I"][name] - value).abs().max() for name, value in end_of_3["D_I"].items() if "bias" in name)
    assert 0 < moved < 1e-3
    assert end["D_I_adam"]["state"][0]["step"] == 2  # a new optimizer


SLOW = pytest.mark.slow


@SLOW
@pytest.mark.parametrize("until", [1, 2, 3, 5, 6, 7])
def test_resume_equals_an_uninterrupted_run(data: Path, whole_run: Path, tmp_path: Path, until: int) -> None:
    """Within each stage, and at each stage's end."""
    run = tmp_path / "run"
    train(tiny_config(data, run, keep_checkpoints=4), until=until)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": until + 1, "G/mse": 1e9}) + '\n{"step": ')  # logged, then killed
    train(tiny_config(data, run, keep_checkpoints=4), resume=True)
    assert differences(run, whole_run, 8) == []


def without_discriminators(dataset: Path, run: Path) -> TrainConfig:
    """The first two stages, 4 iterations: cheap."""
    return tiny_config(dataset, run, stages={name: stages()[name] for name in ("aux-classifier", "reconstruction")})


@pytest.fixture(scope="module")
def short_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of the first two stages."""
    run = tmp_path_factory.mktemp("short") / "run"
    train(without_discriminators(data, run))
    return run


@pytest.mark.parametrize("until", [pytest.param(1, marks=SLOW), 2, 3])
def test_resume_of_a_run_without_discriminators(data: Path, short_run: Path, tmp_path: Path, until: int) -> None:
    run = tmp_path / "run"
    train(without_discriminators(data, run), until=until)
    train(without_discriminators(data, run), resume=True)
    assert differences(run, short_run, 4) == []


def test_a_run_resumes_from_its_stage_folders(data: Path, short_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(without_discriminators(data, run), until=3)
    shutil.rmtree(run / "checkpoints")
    (run / "stages/.2-reconstruction.partial").mkdir()  # of a process that was killed meanwhile
    train(without_discriminators(data, run), resume=True)
    assert differences(run, short_run, 4) == []
    shutil.rmtree(run / "checkpoints")
    train(without_discriminators(data, run), resume=True)  # the last stage again
    assert differences(run, short_run, 4) == []


def test_from_stage_starts_from_a_stage_folder_of_another_run(
    data: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It uses the networks and the sentence encoder of that folder; the encoder is not fitted again."""
    run = tmp_path / "run"
    monkeypatch.setattr("storygan.text.clevr_encoder.ClevrEncoder.fit", None)
    train(
        tiny_config(data, run, keep_checkpoints=4),
        from_stage=("adversarial", whole_run / "stages/3-discriminators"),
    )
    assert metrics(run) == metrics(whole_run)[6:]
    monkeypatch.undo()
    left = whole_run / "stages/1-aux-classifier"
    for name, folder in (("first", "aux-classifier"), ("unknown", "nonsense")):
        with pytest.raises(UsageError, match=r"name a stage after the first: reconstruction, discriminators"):
            train(tiny_config(data, tmp_path / name), from_stage=(folder, left))
    with pytest.raises(StoryganError, match="nowhere"):
        train(tiny_config(data, tmp_path / "none"), from_stage=("adversarial", tmp_path / "nowhere"))


def test_a_run_killed_before_it_saved_its_model_is_completed(
    data: Path, short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, save = tmp_path / "run", StoryGAN.save_pretrained

    def killed(model: StoryGAN, folder: Path) -> None:
        if (run / "checkpoints/step-00000004.pt").exists():
            raise KeyboardInterrupt
        save(model, folder)

    with monkeypatch.context() as patch:
        patch.setattr(StoryGAN, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            train(without_discriminators(data, run))
    assert not (run / "stages/2-reconstruction").exists()
    train(without_discriminators(data, run), resume=True)
    for folder in ("model", "stages/2-reconstruction"):
        weights = (short_run / folder / "model.safetensors").read_bytes()
        assert (run / folder / "model.safetensors").read_bytes() == weights


def test_a_damaged_checkpoint_is_skipped(
    data: Path, short_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    train(without_discriminators(data, run), until=3)
    newest = run / "checkpoints/step-00000003.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    train(without_discriminators(data, run), resume=True)
    assert f"{newest} cannot be read: " in caplog.text
    assert "does not fit its checksum; trying the one before" in caplog.text
    assert differences(run, short_run, 4) == []


def test_a_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def poisoned(trainer: loop.StageTrainer) -> loop.Terms:
        """Iteration 4's squared error is NaN."""
        terms = iteration(trainer)
        return {**terms, "G/mse": torch.tensor(float("nan"))} if (trainer.number, trainer.k) == (1, 2) else terms

    monkeypatch.setattr(loop, "iteration", poisoned)
    with pytest.raises(StoryganError, match="G/mse is nan at iteration 4"):
        train(without_discriminators(data, run))
    state = newest_checkpoint(run / "checkpoints")
    assert state is not None
    assert (state["step"], state["stage"], state["k"]) == (2, "aux-classifier", 2)


def test_init_from_loads_another_models_weights(data: Path, whole_run: Path, tmp_path: Path) -> None:
    start = str(whole_run / "model")
    still = {"stage": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1}, lr=0.0))}
    train(tiny_config(data, tmp_path / "run", init_from=start, stages=still))
    was, now = (dict(StoryGAN.from_pretrained(path).named_parameters()) for path in (start, tmp_path / "run/model"))
    assert all(torch.equal(value, now[name]) for name, value in was.items())
    other = tiny_config(data, tmp_path / "other", init_from=start, model=ModelConfig(T=0, noise_dim=7))
    with pytest.raises(UsageError, match=r"init_from: .* add --model.noise_dim 10$"):
        train(other)
    assert not (tmp_path / "other").exists()


def test_init_from_resizes_the_story_encoder(
    make_dataset: Callable[..., Path], whole_run: Path, tmp_path: Path
) -> None:
    """From T = 2 to 3 and to 1: sentences that both have enter the story encoder as they did."""
    state = StoryGAN.from_pretrained(whole_run / "model").state_dict()
    weight = state["story_encoder.layer.0.weight"]
    for T in (1, 3):
        resized = resize_story_encoder(state, T)["story_encoder.layer.0.weight"]
        assert resized.shape == (128, 128 * T)
        kept = 128 * min(T, 2)
        assert torch.equal(resized[:, :kept], weight[:, :kept])
        assert not resized[:, kept:].any()
    one = {"stage": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1}))}
    run = tmp_path / "run"
    train(tiny_config(make_dataset(stories=2, T=3), run, init_from=str(whole_run / "model"), stages=one))
    assert StoryGAN.from_pretrained(run / "model").config.T == 3


def test_a_resume_that_does_not_fit_is_refused(data: Path, whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already: go on with --resume"):
        train(tiny_config(data, whole_run))
    with pytest.raises(UsageError, match="no run to resume"):
        train(tiny_config(data, tmp_path / "new"), resume=True)
    with pytest.raises(UsageError, match=r"model.T is 5, but the stories of .* have 2 frames"):
        train(tiny_config(data, tmp_path / "other", model=ModelConfig(T=5)))
    assert not (tmp_path / "other").exists()
    with pytest.raises(UsageError, match="the checkpoint does not fit this configuration"):
        train(tiny_config(data, whole_run, model=ModelConfig(T=0, noise_dim=7)), resume=True)
    changed = stages()
    changed["reconstruction"].iterations = 3
    with pytest.raises(UsageError, match="the stages before have changed"):
        train(tiny_config(data, whole_run, stages=changed), resume=True)
    shorter = stages()
    shorter["adversarial"].iterations = 1
    with pytest.raises(UsageError, match="has done 2 iterations of the stage 'adversarial'"):
        train(tiny_config(data, whole_run, stages=shorter), resume=True)


def test_a_named_auxiliary_classifier_reaches_later_stages(data: Path, tmp_path: Path) -> None:
    recipe = {
        "discriminators": StageConfig(iterations=1, batch_size=2, D_I=D_I(loss={"L_image": 1})),
        "adversarial": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1, "aux": 1})),
    }
    train(tiny_config(data, tmp_path / "run", stages=recipe, aux_classifier=str(SHIPPED)))
    assert metrics(tmp_path / "run")[-1]["G/aux"] > 0
