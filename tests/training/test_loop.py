"""`storygan train` for real: what it writes, resumes, survives and refuses."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.run_folders import differences
from torch import nn

from storygan.config import (
    AdamConfig,
    DataConfig,
    DiscriminatorConfig,
    LossConfig,
    ModelConfig,
    TrainConfig,
    WarmUpConfig,
)
from storygan.data.clevr.render import scene_of
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.models.storygan import StoryGAN
from storygan.training import loop, steps
from storygan.training.batches import indices
from storygan.training.checkpoint import newest_checkpoint
from storygan.training.loop import Trainer, train
from storygan.training.processes import Processes, running_statistics
from storygan.types import StoryganError, UsageError


@pytest.fixture(scope="module")
def tiny_dataset(make_dataset: Callable[..., Path]) -> Path:
    """Eight stories of two frames: half the arithmetic of four."""
    return make_dataset(stories=8, T=2)


def tiny_config(dataset: Path, run: Path, **changes: object) -> TrainConfig:
    """Every phase and option in 8 iterations of 2 stories."""
    config = TrainConfig(
        run=str(run),
        data=DataConfig(str(dataset)),
        model=ModelConfig(T=2, noise_dim=10),
        discriminator=DiscriminatorConfig(spectral_norm=True, label_head=True),
        loss=LossConfig(mismatched=True, squared_error=1.0, r1=1.0, r1_every=2),
        adam=AdamConfig(halve_every_epochs=1),
        warm_up=WarmUpConfig(iterations=2, discriminator_iterations=2, frames=1, drawings=2),
        iterations=8,
        batch_size=2,
        ema=0.5,
        threads=1,
        log_every=1,
        sample_every=8,
        checkpoint_every=2,
    )
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(tiny_dataset, run))
    return run


def test_a_run_leaves_all_it_promises(whole_run: Path) -> None:
    names = {path.name.split(".")[0] for path in whole_run.iterdir() if path.name != ".lock"}
    assert names == {"config", "metrics", "events", "samples", "checkpoints", "model"}
    assert [path.name for path in sorted((whole_run / "checkpoints").iterdir())] == [
        f"step-{step:08d}.pt" for step in (4, 6, 8)
    ]
    assert [line["step"] for line in metrics(whole_run)] == list(range(1, 9))
    assert "D_I" not in metrics(whole_run)[1]
    assert "G_image" not in metrics(whole_run)[3]
    assert {"D_I", "D_S", "G_image", "G_story", "G_label", "KL", "squared_error"} <= metrics(whole_run)[4].keys()
    assert (whole_run / "samples" / "step-00000008.png").exists()


def test_the_model_of_a_run_draws(whole_run: Path) -> None:
    model = StoryGAN.from_pretrained(whole_run / "model")
    frames = model.generate(["small red metal cube at (0, 0)"] * 2)
    assert frames.shape == (1, 2, 64, 64, 3)
    assert not list((whole_run / "model").glob("*.pt")) + list((whole_run / "model").glob("*.pkl"))


def test_the_model_of_a_run_has_the_averaged_weights(whole_run: Path) -> None:
    state = newest_checkpoint(whole_run / "checkpoints")
    assert state is not None
    model = StoryGAN.from_pretrained(whole_run / "model")
    for name, value in model.state_dict().items():
        assert torch.equal(value, state["ema"][f"module.{name}"]), name


def test_fixed_norms_keep_their_statistics_until_the_warm_up_ends(tiny_dataset: Path, tmp_path: Path) -> None:
    warm_up = WarmUpConfig(iterations=2, fixed_norms=True)
    trainer = Trainer.build(tiny_config(tiny_dataset, tmp_path, warm_up=warm_up), open_split(tiny_dataset, "train"))
    story_encoder = trainer.model.story_encoder.layer

    def seen() -> list[torch.Tensor]:
        return [value.clone() for value in running_statistics(trainer.model)]

    before, weights = seen(), story_encoder[0].weight.clone()
    for _ in range(2):
        trainer.iteration()
        trainer.sample()  # draws in evaluation mode, and puts training back
    assert all(map(torch.equal, seen(), before))
    assert not torch.equal(story_encoder[0].weight, weights)
    trainer.iteration()
    assert not any(map(torch.equal, seen(), before))


def test_pixels_of_objects_count_more_in_the_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / "sample")
    dataset, batches = open_split(tmp_path / "sample", "train"), []
    warm_up = WarmUpConfig(iterations=1, frames=2, object_weight=5)
    config = TrainConfig(data=DataConfig(str(tmp_path / "sample")), warm_up=warm_up, batch_size=4)
    trainer, warmed = Trainer.build(config, dataset), steps.warm_up_generator

    def watched(fabric: object, optimizers: steps.Optimizers, batch: steps.Batch, *rest: object) -> steps.Metrics:
        batches.append(batch)
        return warmed(fabric, optimizers, batch, *rest)

    monkeypatch.setattr(steps, "warm_up_generator", watched)
    trainer.iteration()
    (batch,) = batches
    scenes = [scene_of(dataset.story_ids[n], 4) for n in indices(len(dataset), 4, config.seed, 0)]
    assert batch.counts is not None
    assert batch.drawn is not None
    for scene, frames, counts in zip(scenes, batch.drawn.tolist(), batch.counts, strict=True):
        assert scene is not None
        mask = scene.mask()
        for t, of_pixel in zip(frames, counts[:, 0], strict=True):
            for row in range(0, 64, 3):
                for column in range(0, 64, 3):
                    shown = mask[int((row + 0.5) * 3.75), int((column + 0.5) * 5)]
                    assert of_pixel[row, column] == (5 if 0 <= shown <= t else 1)
    assert 1.01 < batch.counts.mean() < 1.6
    assert Trainer.build(replace(config, warm_up=WarmUpConfig()), dataset).objects is None


def test_the_warm_ups_rate_falls_as_half_a_cosine(tiny_dataset: Path, tmp_path: Path) -> None:
    warm_up = WarmUpConfig(iterations=4, lr=1e-3, cosine=True)
    config = tiny_config(tiny_dataset, tmp_path / "run", warm_up=warm_up, adam=AdamConfig())
    trainer = Trainer.build(config, open_split(config.data.path, config.data.split))

    def rates(of: str, iterations: range) -> Iterator[float]:
        optimizer = getattr(trainer.optimizers, of)
        for trainer.k in iterations:
            trainer._set_rates()
            yield optimizer.param_groups[0]["lr"]

    at_quarters = [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]  # (1 + cos(pi q)) / 2
    assert list(rates("G", range(4))) == pytest.approx([1e-3 * part for part in at_quarters])
    assert list(rates("G", range(4, 6))) == [2e-4, 2e-4]  # the adversarial phase has its own
    assert list(rates("D_I", range(6))) == [2e-4] * 6


def test_the_rates_are_halved_every_so_many_epochs_of_the_adversarial_phase(tiny_dataset: Path, tmp_path: Path) -> None:
    """The paper's: every 20 epochs."""
    warm_up = WarmUpConfig(iterations=3, discriminator_iterations=2, lr=1e-3)
    config = tiny_config(tiny_dataset, tmp_path / "run", warm_up=warm_up, adam=AdamConfig(halve_every_epochs=2))
    trainer = Trainer.build(config, open_split(config.data.path, config.data.split))
    assert (len(trainer.dataset), config.batch_size) == (8, 2)  # an epoch is 4 iterations
    rates = []
    for trainer.k in range(5 + 3 * 8):
        trainer._set_rates()
        rates.append([getattr(trainer.optimizers, of).param_groups[0]["lr"] for of in ("G", "D_I", "D_S")])
    before = [[1e-3, 2e-4, 2e-4]] * 3 + [[2e-4] * 3] * 2
    assert rates == before + [[2e-4 * 0.5**n] * 3 for n in range(3) for _ in range(8)]


@pytest.mark.parametrize("stop", [2, 6])  # within the warm-up's first epoch; in the adversarial phase
def test_resume_equals_an_uninterrupted_run(tiny_dataset: Path, whole_run: Path, tmp_path: Path, stop: int) -> None:
    run = tmp_path / "run"
    train(tiny_config(tiny_dataset, run, iterations=stop))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": stop + 1, "KL": 1e9}) + '\n{"step": ')  # logged, then killed before a checkpoint
    train(tiny_config(tiny_dataset, run), resume=True)
    assert differences(run, whole_run, 8) == []


def test_a_run_killed_between_its_last_checkpoint_and_its_model_is_mended(
    tiny_dataset: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, save = tmp_path / "run", StoryGAN.save_pretrained

    def killed(model: StoryGAN, folder: Path) -> None:
        if (run / "checkpoints/step-00000008.pt").exists():
            raise KeyboardInterrupt
        save(model, folder)

    with monkeypatch.context() as patch:
        patch.setattr(StoryGAN, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(tiny_dataset, run))
    weights = (whole_run / "model/model.safetensors").read_bytes()
    assert (run / "model/model.safetensors").read_bytes() != weights
    train(tiny_config(tiny_dataset, run), resume=True)
    assert (run / "model/model.safetensors").read_bytes() == weights


def test_a_run_starts_with_another_models_weights(tiny_dataset: Path, whole_run: Path, tmp_path: Path) -> None:
    start = str(whole_run / "model")
    config = tiny_config(tiny_dataset, tmp_path / "run", start=start, iterations=1, ema=0.0)
    config.warm_up = WarmUpConfig(iterations=1, lr=0.0)
    train(config)  # one iteration that moves nothing
    was, now = (dict(StoryGAN.from_pretrained(path).named_parameters()) for path in (start, tmp_path / "run/model"))
    assert all(torch.equal(value, now[name]) for name, value in was.items())
    other = tiny_config(tiny_dataset, tmp_path / "other", start=start)
    other.model.noise_dim = 7
    with pytest.raises(UsageError, match=r"start: .* add --model.noise_dim 10$"):
        train(other)
    assert not (tmp_path / "other/config.yaml").exists()


def test_networks_start_as_the_configuration_says(tiny_dataset: Path, tmp_path: Path) -> None:
    for initialization, std in (("dcgan", 0.02), ("layers", (3 * 128) ** -0.5)):
        plain = DiscriminatorConfig()  # spectral norm divides a weight's size away
        config = tiny_config(tiny_dataset, tmp_path, initialization=initialization, discriminator=plain)
        trainer = loop.Trainer.build(config, loop.open_split(config.data.path, "train"))
        networks = trainer.networks
        assert trainer.model.context_encoder.text2gist.U_z.weight.std().item() == pytest.approx(std, rel=0.05)
        for D in (networks.D_I, networks.D_S):
            last = [weight for weight in D.parameters() if weight.dim() > 1][-1]
            inputs = last[0].numel()
            expected = 0.02 if initialization == "dcgan" else (3 * inputs) ** -0.5
            assert last.std().item() == pytest.approx(expected, rel=0.2)


def test_a_torn_checkpoint_is_passed_over(
    tiny_dataset: Path, whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(tiny_config(tiny_dataset, run, iterations=4))
    newest = run / "checkpoints/step-00000004.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    train(tiny_config(tiny_dataset, run), resume=True)
    assert "step-00000004.pt cannot be read" in capsys.readouterr().err
    assert metrics(run) == metrics(whole_run)


def test_a_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps, update = tmp_path / "run", loop.steps, loop.steps.update_generator

    def poisoned(*args: object) -> object:
        """Iteration 6's generator update gets a NaN picture."""
        update_metrics = update(*args)  # type: ignore[arg-type]
        if calls.append(1) or len(calls) == 2:
            update_metrics["G_image"] = update_metrics["G_image"] * float("nan")
        return update_metrics

    calls: list[int] = []
    monkeypatch.setattr(steps, "update_generator", poisoned)
    with pytest.raises(StoryganError, match="G_image is nan at iteration 6"):
        train(tiny_config(tiny_dataset, run))
    state = newest_checkpoint(run / "checkpoints")
    assert state is not None
    assert state["step"] == 4
    assert all(torch.isfinite(value).all() for value in state["G"].values())


def test_what_does_not_fit_is_refused(tiny_dataset: Path, whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already: go on with --resume"):
        train(tiny_config(tiny_dataset, whole_run))
    with pytest.raises(UsageError, match="no run to resume"):
        train(tiny_config(tiny_dataset, tmp_path / "new"), resume=True)
    config = tiny_config(tiny_dataset, tmp_path / "other")
    config.model.T = 5
    with pytest.raises(UsageError, match=r"model.T is 5, but the stories of .* have 2 frames"):
        train(config)
    with pytest.raises(UsageError, match=r"batch_size is 9, but .* has 8 stories"):
        train(tiny_config(tiny_dataset, tmp_path / "other", batch_size=9))
    assert not (tmp_path / "other").exists()
    config = tiny_config(tiny_dataset, whole_run)
    config.model.noise_dim = 7
    with pytest.raises(UsageError, match="the checkpoint does not fit this configuration"):
        train(config, resume=True)


def test_plain_english_needs_its_own_encoder(tiny_dataset: Path, tmp_path: Path) -> None:
    stories = [Story(s.story_id, ["Pororo sings."] * 2, s.frames) for s in read_stories(tiny_dataset, "train")]
    write_shard(tmp_path / shard_name("train", 0, 1), stories, None)
    with pytest.raises(UsageError, match=r"Pororo sings.*: --sentence_encoder sentence$"):
        Trainer.build(tiny_config(tmp_path, tmp_path / "run"), open_split(tmp_path, "train"))


def test_a_label_head_needs_labels(tiny_dataset: Path, tmp_path: Path) -> None:
    dataset = loop.open_split(str(tiny_dataset), "train")
    unlabelled = type(dataset)(**{**vars(dataset), "labels": None, "label_names": None})
    with pytest.raises(UsageError, match="label_head is on, but"):
        loop.check_fit(tiny_config(tiny_dataset, tmp_path), unlabelled)


@pytest.mark.parametrize(("frames", "refused"), [(0, True), (1, False), (2, True)])
def test_any_order_needs_frames_that_are_not_drawn(tiny_dataset: Path, frames: int, refused: bool) -> None:
    config = tiny_config(tiny_dataset, Path("run"), warm_up=WarmUpConfig(frames=frames, any_order=True))
    dataset = open_split(tiny_dataset, "train")
    with pytest.raises(UsageError, match=r"set warm_up.frames to 1 to 1$") if refused else nullcontext():
        loop.check_fit(config, dataset)


def test_pixels_of_objects_are_not_known_of_other_stories(tiny_dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(tiny_dataset, tmp_path / "run", warm_up=WarmUpConfig(iterations=1, object_weight=8))
    with pytest.raises(UsageError, match="go without coupled_noise, object_weight and --turns"):
        train(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-4), pytest.param(torch.float64, 1e-8, marks=pytest.mark.slow)]
)
def test_threads_change_rounding_alone(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, bound: float
) -> None:
    """Gradients of one iteration with every option; D's rate is 0, as Adam's first step magnifies rounding. So does
    batch norm while it trains, on flat pictures: in float32 it evaluates."""
    warm_up, adam = WarmUpConfig(iterations=0), AdamConfig(lr_discriminator=0.0)
    config = tiny_config(tiny_dataset, tmp_path, adam=adam, warm_up=warm_up, batch_size=8)
    load, before, found = loop.load_batch, torch.get_num_threads(), []

    def load_batch(*args: object) -> steps.Batch:
        batch = load(*args)  # type: ignore[arg-type]
        batch.X, batch.S = batch.X.to(dtype), batch.S.to(dtype)
        return batch

    monkeypatch.setattr(loop, "load_batch", load_batch)
    torch.set_default_dtype(dtype)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            trainer = loop.Trainer.build(config, loop.open_split(config.data.path, "train"))
            modules = [module for network in vars(trainer.networks).values() for module in network.modules()]
            for norm in (module for module in modules if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)):
                norm.train(dtype == torch.float64)
            trainer.iteration()
            found.append([parameter.grad for net in vars(trainer.networks).values() for parameter in net.parameters()])
    finally:
        torch.set_num_threads(before)
        torch.set_default_dtype(torch.float32)
    for one, two in zip(*found, strict=True):
        assert (two - one).norm() < bound * one.norm().clamp(min=1e-6)


def test_an_iteration_asks_the_other_processes_once(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether one was told to stop; whether all are well, where something was written, and thrice at the start."""
    asked: list[int] = []
    monkeypatch.setattr(Processes, "_gathered", lambda self, value: asked.append(value) or [value])
    train(tiny_config(tiny_dataset, tmp_path / "run", iterations=6, log_every=3, sample_every=6, checkpoint_every=6))
    assert len(asked) == 6 + 2 + 3
