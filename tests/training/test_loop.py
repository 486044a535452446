"""`train` for real: what it writes, resumes, survives and refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.run_folders import differences
from tests.training.tiny import G, one_stage, paper_stage, stages, tiny_config

from storygan.config import DataConfig, ModelConfig, StageConfig, TrainConfig, ValidationConfig
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.measure import draw, measure
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.folding import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.training import loop
from storygan.training.check_fit import check_fit
from storygan.training.checkpoint import load_checkpoint, newest_checkpoint
from storygan.training.loop import iteration, train
from storygan.training.stage_folder import load_stage, resized_to


@pytest.fixture(scope="module")
def tiny_dataset(make_dataset: Callable[..., Path]) -> Path:
    """Eight stories of two frames."""
    return make_dataset(stories=8, T=2)


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of all four stages."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(tiny_dataset, run, keep_checkpoints=4))
    return run


# ---- what a run leaves ----


def test_a_run_leaves_all_it_promises(whole_run: Path) -> None:
    names = {path.name.split(".")[0] for path in whole_run.iterdir() if path.name != ".lock"}
    assert names == {"config", "metrics", "events", "samples", "checkpoints", "model", "stages"}
    assert [line["step"] for line in metrics(whole_run)] == list(range(1, 9))
    assert [line["stage"] for line in metrics(whole_run)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert yaml.safe_load((whole_run / "config.yaml").read_text())["model"]["T"] == 2  # the data set's


def test_a_stage_computes_the_terms_that_it_names_and_no_other(whole_run: Path) -> None:
    D = {f"D_I/{term}" for term in ("L_image", "real", "fake", "label")} | {
        f"D_S/{term}" for term in ("L_story", "real", "fake")
    }
    r1 = {"D_I/r1", "D_S/r1"}
    expected = [
        {"C/label", "C/present", "C/attributes"},
        {"G/mse", "G/L_KL", "G/aux"},
        D,
        D | {f"G/{term}" for term in ("L_image", "L_story", "L_KL", "mse", "label")},
    ]
    for k, line in enumerate(metrics(whole_run)):
        found = set(line) - {"step", "stage"}
        assert found == expected[k // 2] | (r1 if k in (4, 6) else set())  # R1 in every second iteration


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
    frames = StoryGAN.from_pretrained(whole_run / "model").generate(["small red metal cube at (0, 0)"] * 2)
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


# ---- going on ----


SLOW = pytest.mark.slow


@pytest.mark.parametrize("until", [*(pytest.param(k, marks=SLOW) for k in (1, 2, 3, 5, 6)), 7])
def test_resume_equals_an_uninterrupted_run(tiny_dataset: Path, whole_run: Path, tmp_path: Path, until: int) -> None:
    """Within each stage, and at each stage's end."""
    run = tmp_path / "run"
    train(tiny_config(tiny_dataset, run, keep_checkpoints=4), until=until)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": until + 1, "G/mse": 1e9}) + '\n{"step": ')  # logged, then killed
    train(tiny_config(tiny_dataset, run, keep_checkpoints=4), resume=True)
    assert differences(run, whole_run, 8) == []


def without_discriminators(dataset: Path, run: Path) -> TrainConfig:
    """The first two stages, 4 iterations: cheap."""
    return tiny_config(dataset, run, stages={name: stages()[name] for name in ("aux-classifier", "reconstruction")})


@pytest.fixture(scope="module")
def short_run(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of the first two stages."""
    run = tmp_path_factory.mktemp("short") / "run"
    train(without_discriminators(tiny_dataset, run))
    return run


@pytest.mark.parametrize("until", [1, 2, 3])
def test_resume_of_a_run_without_discriminators(
    tiny_dataset: Path, short_run: Path, tmp_path: Path, until: int
) -> None:
    run = tmp_path / "run"
    train(without_discriminators(tiny_dataset, run), until=until)
    train(without_discriminators(tiny_dataset, run), resume=True)
    assert differences(run, short_run, 4) == []


def test_a_run_goes_on_from_its_stages_alone(tiny_dataset: Path, short_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(without_discriminators(tiny_dataset, run), until=3)
    shutil.rmtree(run / "checkpoints")
    (run / "stages/.2-reconstruction.partial").mkdir()  # of a process that was killed meanwhile
    train(without_discriminators(tiny_dataset, run), resume=True)
    assert differences(run, short_run, 4) == []
    shutil.rmtree(run / "checkpoints")
    train(without_discriminators(tiny_dataset, run), resume=True)  # the last stage again
    assert differences(run, short_run, 4) == []


def test_from_stage_starts_with_what_another_run_left(
    tiny_dataset: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its networks and its sentence encoder, which is not fitted anew."""
    run = tmp_path / "run"
    monkeypatch.setattr("storygan.text.clevr_encoder.ClevrEncoder.fit", None)
    train(
        tiny_config(tiny_dataset, run, keep_checkpoints=4),
        from_stage=("adversarial", whole_run / "stages/3-discriminators"),
    )
    assert metrics(run) == metrics(whole_run)[6:]
    monkeypatch.undo()
    left = whole_run / "stages/1-aux-classifier"
    for name, folder in (("first", "aux-classifier"), ("unknown", "nonsense")):
        with pytest.raises(UsageError, match=r"name a stage after the first: reconstruction, discriminators"):
            train(tiny_config(tiny_dataset, tmp_path / name), from_stage=(folder, left))
    with pytest.raises(StoryganError, match="nowhere"):
        train(tiny_config(tiny_dataset, tmp_path / "none"), from_stage=("adversarial", tmp_path / "nowhere"))


def test_a_run_killed_between_its_last_checkpoint_and_its_model_is_mended(
    tiny_dataset: Path, short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, save = tmp_path / "run", StoryGAN.save_pretrained

    def killed(model: StoryGAN, folder: Path) -> None:
        if (run / "checkpoints/step-00000004.pt").exists():
            raise KeyboardInterrupt
        save(model, folder)

    with monkeypatch.context() as patch:
        patch.setattr(StoryGAN, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            train(without_discriminators(tiny_dataset, run))
    assert not (run / "stages/2-reconstruction").exists()
    train(without_discriminators(tiny_dataset, run), resume=True)
    for folder in ("model", "stages/2-reconstruction"):
        weights = (short_run / folder / "model.safetensors").read_bytes()
        assert (run / folder / "model.safetensors").read_bytes() == weights


def test_a_torn_checkpoint_is_passed_over(
    tiny_dataset: Path, short_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(without_discriminators(tiny_dataset, run), until=3)
    newest = run / "checkpoints/step-00000003.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    train(without_discriminators(tiny_dataset, run), resume=True)
    assert "step-00000003.pt cannot be read" in capsys.readouterr().err
    assert metrics(run) == metrics(short_run)


def test_a_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def poisoned(trainer: loop.StageTrainer) -> loop.Terms:
        """Iteration 4's squared error is NaN."""
        terms = iteration(trainer)
        return {**terms, "G/mse": torch.tensor(float("nan"))} if (trainer.number, trainer.k) == (1, 2) else terms

    monkeypatch.setattr(loop, "iteration", poisoned)
    with pytest.raises(StoryganError, match="G/mse is nan at iteration 4"):
        train(without_discriminators(tiny_dataset, run))
    state = newest_checkpoint(run / "checkpoints")
    assert state is not None
    assert (state["step"], state["stage"], state["k"]) == (2, "aux-classifier", 2)


# ---- where a run starts ----


def test_a_run_starts_with_another_models_weights(tiny_dataset: Path, whole_run: Path, tmp_path: Path) -> None:
    start = str(whole_run / "model")
    still = {"stage": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1}, lr=0.0))}
    train(tiny_config(tiny_dataset, tmp_path / "run", init_from=start, stages=still))
    was, now = (dict(StoryGAN.from_pretrained(path).named_parameters()) for path in (start, tmp_path / "run/model"))
    assert all(torch.equal(value, now[name]) for name, value in was.items())
    other = tiny_config(tiny_dataset, tmp_path / "other", init_from=start, model=ModelConfig(T=0, noise_dim=7))
    with pytest.raises(UsageError, match=r"init_from: .* add --model.noise_dim 10$"):
        train(other)
    assert not (tmp_path / "other").exists()


def test_init_from_a_model_of_another_length_keeps_what_fits(
    make_dataset: Callable[..., Path], whole_run: Path, tmp_path: Path
) -> None:
    """From T = 2 to 3 and to 1: sentences that both have enter the story encoder as they did."""
    state = StoryGAN.from_pretrained(whole_run / "model").state_dict()
    weight = state["story_encoder.layer.0.weight"]
    for T in (1, 3):
        resized = resized_to(state, T)["story_encoder.layer.0.weight"]
        assert resized.shape == (128, 128 * T)
        kept = 128 * min(T, 2)
        assert torch.equal(resized[:, :kept], weight[:, :kept])
        assert not resized[:, kept:].any()
    one = {"stage": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1}))}
    run = tmp_path / "run"
    train(tiny_config(make_dataset(stories=2, T=3), run, init_from=str(whole_run / "model"), stages=one))
    assert StoryGAN.from_pretrained(run / "model").config.T == 3


def test_networks_start_as_the_configuration_says(tiny_dataset: Path) -> None:
    for initialization, std in (("dcgan", 0.02), ("pytorch", (3 * 128) ** -0.5)):
        trainer = one_stage(tiny_dataset, paper_stage(), initialization=initialization)
        assert trainer.model.context_encoder.text2gist.U_z.weight.std().item() == pytest.approx(std, rel=0.05)
        for D in (trainer.nets.D_I, trainer.nets.D_S):
            last = [weight for weight in D.parameters() if weight.dim() > 1][-1]
            expected = 0.02 if initialization == "dcgan" else (3 * last[0].numel()) ** -0.5
            assert last.std().item() == pytest.approx(expected, rel=0.2)


def test_the_seed_decides_weights_stories_and_noise(tiny_dataset: Path) -> None:
    def mse(seed: int) -> list[float]:
        trainer = one_stage(tiny_dataset, StageConfig(iterations=2, batch_size=2, G=G(loss={"mse": 1})), seed=seed)
        return [iteration(trainer)["G/mse"].item() for _ in range(2)]

    assert mse(1) == mse(1)
    assert mse(1) != mse(2)


# ---- validation ----


def test_validation_is_logged_and_the_best_model_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / "sample")
    config = TrainConfig(
        run=str(tmp_path / "run"),
        data=DataConfig(str(tmp_path / "sample")),
        model=ModelConfig(noise_dim=10),
        stages={"stage": StageConfig(iterations=3, batch_size=2, G=G(loss={"mse": 1}))},
        validation=ValidationConfig(every=1, split="test", stories=3),
        log_every=3,
        checkpoint_every=3,
        threads=1,
    )
    measured = loop.Validation.__call__
    given = iter([0.25, 0.75, 0.5])
    monkeypatch.setattr(
        loop.Validation, "__call__", lambda self, model: {**measured(self, model), "object_accuracy": next(given)}
    )
    train(config, until=2)
    second = (tmp_path / "run/best/model.safetensors").read_bytes()
    assert second == (tmp_path / "run/model/model.safetensors").read_bytes()
    train(config, resume=True)
    assert (tmp_path / "run/best/model.safetensors").read_bytes() == second
    assert (tmp_path / "run/model/model.safetensors").read_bytes() != second
    lines = [line for line in metrics(tmp_path / "run") if "validation/object_accuracy" in line]
    assert [line["validation/object_accuracy"] for line in lines] == [0.25, 0.75, 0.5]
    assert {"validation/story_consistency", "validation/label_micro_f1"} <= lines[0].keys()
    for split, metric, message in (
        ("test", "nonsense", "for these stories there is object_accuracy, "),
        ("validation", "object_accuracy", "no split 'validation'"),
    ):
        other = replace(config, run=str(tmp_path / "no"), validation=ValidationConfig(1, split, 3, metric))
        with pytest.raises(StoryganError, match=message):
            train(other)


def test_validation_measures_what_evaluate_measures(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    config = TrainConfig(
        data=DataConfig(str(tmp_path / "sample")), validation=ValidationConfig(every=1, split="test", stories=16)
    )
    model, dataset = StoryGAN.from_pretrained("clevr-sv"), open_split(tmp_path / "sample", "test")
    found = loop.Validation(config)(model)
    generated = draw(fuse_batch_norm(model), dataset.sentences, 0)
    expected = measure(dataset, tmp_path / "sample", {"model": generated}, 0).lines["model"]
    for name in ("object_accuracy", "story_consistency", "label_micro_f1"):
        estimate = expected[name]
        assert estimate is not None
        assert found[name] == pytest.approx(estimate.mean)


# ---- what does not fit ----


def test_what_does_not_fit_is_refused(tiny_dataset: Path, whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already: go on with --resume"):
        train(tiny_config(tiny_dataset, whole_run))
    with pytest.raises(UsageError, match="no run to resume"):
        train(tiny_config(tiny_dataset, tmp_path / "new"), resume=True)
    with pytest.raises(UsageError, match=r"model.T is 5, but the stories of .* have 2 frames"):
        train(tiny_config(tiny_dataset, tmp_path / "other", model=ModelConfig(T=5)))
    assert not (tmp_path / "other").exists()
    with pytest.raises(UsageError, match="the checkpoint does not fit this configuration"):
        train(tiny_config(tiny_dataset, whole_run, model=ModelConfig(T=0, noise_dim=7)), resume=True)
    changed = stages()
    changed["reconstruction"].iterations = 3
    with pytest.raises(UsageError, match="the stages before have changed"):
        train(tiny_config(tiny_dataset, whole_run, stages=changed), resume=True)
    shorter = stages()
    shorter["adversarial"].iterations = 1
    with pytest.raises(UsageError, match="has done 2 iterations of the stage 'adversarial'"):
        train(tiny_config(tiny_dataset, whole_run, stages=shorter), resume=True)


REFUSED = {
    "frames is 3": {"frames": 3},
    "disc_frames is 2: it must be from 0 to 1": {"frames": 1, "disc_frames": 2, "D_S": None},
    "D_S needs all 2 frames": {"frames": 1},
    "shuffle_sentences needs frames from 1 to 1": {"shuffle_sentences": True},
    "set discriminator.label_head true": {"G": G(loss={"label": 1})},
    "no column `foreground`": {"foreground_weight": 8.0},
    "no nuisance columns": {"couple_nuisance": True},
    "shards names 1, but .* has shards 0 to 0": {"shards": [0, 1]},
    "batch_size is 9, but .* has 8 stories": {"batch_size": 9},
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_stage_that_does_not_fit_the_data_is_refused(tiny_dataset: Path, message: str) -> None:
    stages = {"one": paper_stage(**REFUSED[message])}
    config = TrainConfig(data=DataConfig("data"), model=ModelConfig(T=2), stages=stages)
    with pytest.raises(UsageError, match=rf"stages\.one.*{message}"):
        check_fit(config, open_split(tiny_dataset, "train"))


def test_more_nuisance_values_than_the_noise_has_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    dataset = open_split(tmp_path / "sample", "train")
    config = TrainConfig(stages={"one": paper_stage(couple_nuisance=True)}, model=ModelConfig(noise_dim=1))
    with pytest.raises(UsageError, match="2 values for eps_t, which has 1"):
        check_fit(config, dataset)
    check_fit(replace(config, model=ModelConfig(noise_dim=2)), dataset)


def test_a_label_head_needs_labels(tiny_dataset: Path, tmp_path: Path) -> None:
    unlabelled = replace(open_split(tiny_dataset, "train"), labels=None, label_names=None)
    with pytest.raises(UsageError, match="label_head is on, but"):
        check_fit(tiny_config(tiny_dataset, tmp_path, model=ModelConfig(T=2)), unlabelled)


def test_an_aux_loss_needs_a_classifier_of_these_stories(tiny_dataset: Path, tmp_path: Path) -> None:
    stage = StageConfig(iterations=1, batch_size=2, G=G(loss={"aux": 1}))
    with pytest.raises(UsageError, match="there is no auxiliary classifier: name one with --aux_classifier"):
        one_stage(tiny_dataset, stage)
    AttributeClassifier(["dog"]).save(tmp_path / "dogs")
    with pytest.raises(UsageError, match="other labels than these stories"):
        one_stage(tiny_dataset, stage, aux_classifier=str(tmp_path / "dogs"))


def test_plain_english_needs_its_own_encoder(tiny_dataset: Path, tmp_path: Path) -> None:
    stories = [Story(s.story_id, ["Pororo sings."] * 2, s.frames) for s in read_stories(tiny_dataset, "train")]
    write_shard(tmp_path / shard_name("train", 0, 1), stories, None)
    with pytest.raises(UsageError, match=r"Pororo sings.*: --sentence_encoder sentence$"):
        one_stage(tmp_path, paper_stage())


def test_samples_show_the_same_stories_and_noise_every_time(tiny_dataset: Path) -> None:
    trainer = one_stage(tiny_dataset, paper_stage())
    one, two = trainer.sample(), trainer.sample()
    assert np.array_equal(one, two)
    assert np.array_equal(one[:, :2], open_split(tiny_dataset, "train").batch(np.arange(6)))


def test_the_model_has_the_aspect_ratio_of_the_data_set(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoryDataset, "aspect_ratio", 4 / 3, raising=False)
    trainer = one_stage(tiny_dataset, replace(paper_stage(), ema=0.5))
    assert trainer.inference_model().aspect_ratio == 4 / 3
