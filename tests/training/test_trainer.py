"""Updates of an iteration, learning rates, EMA, initialization."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny import (
    D_I,
    D_S,
    B,
    G,
    T,
    changed_networks,
    one_stage,
    paper_stage,
    state_dicts,
)
from torch import Tensor, nn

from storygan.config import (
    VARIANTS,
    DiscriminatorConfig,
    ModelConfig,
    StageConfig,
    Variant,
)
from storygan.data.dataset import open_split
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.errors import UsageError
from storygan.models.attribute_classifier import SHIPPED, AttributeClassifier
from storygan.training import loop, steps
from storygan.training.distributed import running_statistics
from storygan.training.loop import iteration
from storygan.training.stage_folder import InitialWeights
from storygan.training.trainer import StageTrainer

GAN_LOSSES = ("saturating", "non-saturating", "relativistic")


def test_further_generator_steps_sample_new_noise(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noises = []
    generate = steps.generate
    monkeypatch.setattr(
        loop, "generate", lambda nets, batch, noise: noises.append(noise) or generate(nets, batch, noise)
    )
    iteration(one_stage(data, paper_stage(G=G(loss={"L_image": 1}, steps=3))))
    assert len(noises) == 3  # the first is shared with the discriminators
    assert len({noise.eps_0[0, 0].item() for noise in noises}) == 3
    assert len({noise.g_0[0, 0].item() for noise in noises}) == 3


def test_adam_has_the_settings_of_its_network(data: Path) -> None:
    networks = {
        "D_I": D_I(loss={"L_image": 1}, lr=3e-4, betas=(0.0, 0.99)),
        "D_S": D_S(loss={"L_story": 1}),
        "G": G(loss={"L_image": 1}, lr=1e-4, betas=(0.9, 0.95)),
    }
    trainer = one_stage(data, paper_stage(**networks))
    iteration(trainer)
    found = {
        name: (adam.param_groups[0]["lr"], adam.param_groups[0]["betas"]) for name, adam in trainer.optimizers.items()
    }
    assert found == {"D_I": (3e-4, (0.0, 0.99)), "D_S": (2e-4, (0.5, 0.999)), "G": (1e-4, (0.9, 0.95))}


def learning_rates(trainer: StageTrainer, name: str, iterations: int) -> list[float]:
    network = trainer.stage.learning()[name]
    found = []
    for trainer.k in range(iterations):
        found.append(trainer.lr(network))
    return found


def test_learning_rate_schedules(data: Path) -> None:
    networks = {
        "D_I": D_I(loss={"L_image": 1}, lr_schedule="halving"),
        "D_S": D_S(loss={"L_story": 1}),
        "G": G(loss={"L_image": 1}, lr=1e-3, lr_schedule="cosine"),
    }
    trainer = one_stage(data, paper_stage(iterations=4, **networks))
    at_quarters = [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]  # (1 + cos(pi q)) / 2
    assert learning_rates(trainer, "G", 4) == pytest.approx([1e-3 * part for part in at_quarters])
    assert learning_rates(trainer, "D_S", 4) == [2e-4] * 4
    assert trainer.loader.iterations_per_epoch == 4  # 8 stories, 2 at a time
    assert learning_rates(trainer, "D_I", 240) == [2e-4 * 0.5**n for n in range(3) for _ in range(80)]


def test_the_learning_rate_rises_in_the_warmup(data: Path) -> None:
    loss, at_quarters = {"L_image": 1.0}, [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]
    networks = {"D_I": D_I(loss=loss, lr_warmup=3), "G": G(loss=loss, lr=1e-3, lr_warmup=2, lr_schedule="cosine")}
    trainer = one_stage(data, paper_stage(iterations=4, **networks))
    assert learning_rates(trainer, "D_I", 5) == pytest.approx([2e-4 / 3, 4e-4 / 3, 2e-4, 2e-4, 2e-4])
    assert learning_rates(trainer, "G", 4) == pytest.approx([0.5e-3, *(1e-3 * part for part in at_quarters[1:])])


def test_ema_follows_the_generator(data: Path) -> None:
    trainer = one_stage(data, StageConfig(iterations=3, batch_size=2, G=G(loss={"mse": 1}), ema=0.75))
    iteration(trainer)
    first = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert all(torch.equal(value, first[name]) for name, value in trainer.inference_model().state_dict().items())
    iteration(trainer)
    second = trainer.model.state_dict()
    for name, value in trainer.inference_model().named_parameters():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name], rtol=1e-5, atol=1e-7)


def test_a_stage_starts_from_its_initial_weights(data: Path) -> None:
    one = one_stage(data, paper_stage(), seed=1)
    start = InitialWeights({name: network.module.state_dict() for name, network in one.nets.each().items()})
    two = one_stage(data, paper_stage(), start=start, seed=2)
    assert changed_networks(state_dicts(one), state_dicts(two)) == set()
    assert changed_networks(state_dicts(one), state_dicts(one_stage(data, paper_stage(), seed=2))) == {
        "G",
        "D_I",
        "D_S",
    }


def test_a_stage_of_discriminators_leaves_the_generator_unchanged(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights and running statistics stay, and its graph is not built."""
    generated: list[steps.Generated] = []
    monkeypatch.setattr(loop, "generate", lambda *args: generated.append(steps.generate(*args)) or generated[-1])
    trainer = one_stage(data, paper_stage(G=None, ema=0.9))
    before = state_dicts(trainer)
    iteration(trainer)
    assert changed_networks(before, state_dicts(trainer)) == {"D_I", "D_S"}
    assert trainer.ema is None
    assert [fake.X_hat.requires_grad for fake in generated] == [False]


def test_a_stage_builds_only_networks_that_a_term_needs(data: Path) -> None:
    def built(**changes: Any) -> set[str]:
        return set(one_stage(data, paper_stage(**changes), aux_classifier=str(SHIPPED)).nets.each())

    assert built() == {"G", "D_I", "D_S"}
    assert built(D_I=None, D_S=None, G=G(loss={"mse": 1})) == {"G"}
    assert built(D_I=None, D_S=None, G=G(loss={"aux": 1})) == {"G", "C"}
    assert built(D_I=None, D_S=None, G=G(loss={"L_story": 1})) == {"G", "D_S"}
    assert built(D_S=None, G=None) == {"G", "D_I"}


def test_frozen_batch_norm_keeps_its_statistics(data: Path) -> None:
    stage = StageConfig(iterations=3, batch_size=2, G=G(loss={"mse": 1}), freeze_batch_norm=True)
    trainer = one_stage(data, stage)

    def statistics() -> list[Tensor]:
        return [value.clone() for value in running_statistics(trainer.model)]

    before, weights = statistics(), trainer.model.story_encoder.layer[0].weight.clone()
    for _ in range(2):
        iteration(trainer)
        trainer.sample()  # sets evaluation mode
    assert all(map(torch.equal, statistics(), before))
    assert not torch.equal(trainer.model.story_encoder.layer[0].weight, weights)
    trainer.stage.freeze_batch_norm = False
    iteration(trainer)
    assert not any(map(torch.equal, statistics(), before))


OPTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "saturating": {"gan_loss": "saturating"},
    "options": {
        "mismatched": True,
        "r1_every": 1,
        "D_I": D_I(loss={"L_image": 1, "r1": 1}),
        "D_S": D_S(loss={"L_story": 1, "r1": 1}),
        "G": G(loss={"L_image": 1, "L_story": 1, "L_KL": 1, "mse": 10}),
    },
    "R3GAN": {
        "gan_loss": "relativistic",
        "r1_every": 1,
        "D_I": D_I(loss={"L_image": 1, "r1": 1, "r2": 1}),
        "D_S": D_S(loss={"L_story": 1, "r1": 1, "r2": 1}),
        "G": G(loss={"L_image": 1, "L_story": 1, "L_KL": 1, "mse": 1}, adversarial_ratio=4.0),
    },
}


@pytest.mark.parametrize(("name", "spectral_norm"), [("paper", False), *((name, True) for name in OPTIONS)])
def test_each_network_changes_only_in_its_own_step(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, spectral_norm: bool
) -> None:
    trainer = one_stage(
        data,
        paper_stage(**OPTIONS[name], freeze_batch_norm=True),
        discriminator=DiscriminatorConfig(spectral_norm=spectral_norm),
    )
    after = [state_dicts(trainer)]
    for optimizer in trainer.optimizers.values():
        step = optimizer.step
        monkeypatch.setattr(optimizer, "step", lambda step=step: (step(), after.append(state_dicts(trainer))))
    iteration(trainer)
    assert [changed_networks(*pair) for pair in pairwise(after)] == [{"D_I"}, {"D_S"}, {"G"}]
    assert changed_networks(after[-1], state_dicts(trainer)) == set()
    assert all(p.requires_grad for network in trainer.nets.each().values() for p in network.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_iteration_updates_every_parameter(data: Path, variant: Variant) -> None:
    trainer = one_stage(
        data,
        paper_stage(D_I=D_I(loss={"L_image": 1, "label": 1}), mismatched=True),
        model=ModelConfig(variant, T=T),
        discriminator=DiscriminatorConfig(label_head=True),
    )
    assert ("D_S" in trainer.nets.each()) == (variant != "imagegan")
    before = state_dicts(trainer)
    metrics = iteration(trainer)
    after = state_dicts(trainer)
    still = [f"{n}.{key}" for n in before for key in before[n] if torch.equal(before[n][key], after[n][key])]
    assert still == []
    assert ("G/L_story" in metrics) == (variant != "imagegan")
    assert all(torch.isfinite(value) and not value.requires_grad for value in metrics.values())


def test_norm_none_removes_batch_norm(data: Path) -> None:
    """A discriminator's logit of one frame then does not depend on the others, and R1 does not mix samples."""
    trainer = one_stage(data, paper_stage(batch_size=B), discriminator=DiscriminatorConfig(norm="none"))
    D = trainer.nets.D_I.train()
    batch = trainer.loader.load(0, slice(None))
    x, s = steps.images(batch.X), batch.S.flatten(0, 1)
    (whole,), _ = D(x, (s, s))
    (part,), _ = D(x[:2], (s[:2], s[:2]))
    torch.testing.assert_close(whole[:2], part)
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in trainer.nets.D_S.modules())


def test_without_norm_the_features_keep_their_scale(data: Path) -> None:
    """He initialization keeps the scale from layer to layer, up to logits of order 1."""
    trainer = one_stage(data, paper_stage(batch_size=8), discriminator=DiscriminatorConfig(norm="none"))
    batch = trainer.loader.load(0, slice(None))
    white, s = torch.randn(16, 3, 64, 64), batch.S.flatten(0, 1)
    with torch.no_grad():
        x = white
        for block in trainer.nets.D_I.features:
            x = block(x)
            assert 0.5 < x.square().mean().sqrt() < 2
        (logits,), _ = trainer.nets.D_I(white, (s, s))
        (story_logits,) = trainer.nets.D_S(white.unflatten(0, (8, T)), batch.S)
    for found in (logits, story_logits):
        assert 0.1 < found.std() < 5


def fixed_batch(trainer: StageTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every iteration the same batch and noise; the frames are smooth random images."""
    batch = trainer.loader.load(0, slice(None))
    noise = trainer.loader.noise(batch, 0, slice(None))
    B = len(batch.X)
    coarse = torch.rand(B * T, 3, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1
    batch = replace(batch, X=nn.functional.interpolate(coarse, size=64, mode="bilinear").unflatten(0, (B, T)))
    monkeypatch.setattr(type(trainer.loader), "load", lambda self, k, part: batch)
    monkeypatch.setattr(type(trainer.loader), "noise", lambda self, batch, k, part, step: noise)


def test_discriminators_learn_to_separate_real_and_generated(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    D = {"D_I": D_I(loss={"L_image": 1}, lr=1e-3), "D_S": D_S(loss={"L_story": 1}, lr=1e-3)}
    trainer = one_stage(data, paper_stage(batch_size=2, G=None, **D))
    fixed_batch(trainer, monkeypatch)
    for _ in range(6):
        metrics = iteration(trainer)
    undecided = 2 * math.log(2)  # the loss of D = 1/2, real and generated, a frame or a story
    assert metrics["D_I/L_image"] < 0.5 * T * undecided
    assert metrics["D_S/L_story"] < 0.5 * undecided
    for name in ("D_I", "D_S"):
        assert metrics[f"{name}/real"] > metrics[f"{name}/fake"] + 1


@pytest.mark.parametrize("term", ["L_image", "L_story"])
@pytest.mark.parametrize("gan_loss", GAN_LOSSES)
def test_the_generator_learns_to_raise_the_logit(
    data: Path, monkeypatch: pytest.MonkeyPatch, term: str, gan_loss: str
) -> None:
    """Against a discriminator with a learning rate of 0."""
    D: dict[str, Any] = {"D_I": None, "D_S": None}
    name, network = ("D_I", D_I) if term == "L_image" else ("D_S", D_S)
    D[name] = network(loss={term: 1}, lr=0.0)
    trainer = one_stage(data, paper_stage(batch_size=2, gan_loss=gan_loss, **D, G=G(loss={term: 1}, lr=1e-3)))
    fixed_batch(trainer, monkeypatch)
    logits = [iteration(trainer)[f"{name}/fake"].item() for _ in range(4)]
    assert logits[-1] > logits[0]


def test_mse_and_L_KL_decrease(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def curve(loss: dict[str, float], term: str) -> list[float]:
        stage = StageConfig(iterations=25, batch_size=B, G=G(loss=loss, lr=2e-3, betas=(0.9, 0.999)))
        trainer = one_stage(data, stage)
        fixed_batch(trainer, monkeypatch)
        return [iteration(trainer)[f"G/{term}"].item() for _ in range(25)]

    mse = curve({"mse": 1, "L_KL": 0.001}, "mse")
    assert mse[-1] < 0.25 * mse[0]
    monkeypatch.undo()
    trainer = one_stage(data, StageConfig(iterations=9, batch_size=B, G=G(loss={"L_KL": 1}, lr=1e-2)))
    nn.init.normal_(trainer.model.story_encoder.mu.weight)
    L_KL = [iteration(trainer)["G/L_KL"].item() for _ in range(9)]
    assert L_KL[-1] < 0.7 * L_KL[0]


def test_networks_start_as_the_configuration_says(data: Path) -> None:
    for initialization, std in (("dcgan", 0.02), ("pytorch", (3 * 128) ** -0.5)):
        trainer = one_stage(data, paper_stage(), initialization=initialization)
        assert trainer.model.context_encoder.text2gist.U_z.weight.std().item() == pytest.approx(std, rel=0.05)
        for D in (trainer.nets.D_I, trainer.nets.D_S):
            last = [weight for weight in D.parameters() if weight.dim() > 1][-1]
            expected = 0.02 if initialization == "dcgan" else (3 * last[0].numel()) ** -0.5
            assert last.std().item() == pytest.approx(expected, rel=0.2)


def test_the_seed_determines_weights_stories_and_noise(data: Path) -> None:
    def mse(seed: int) -> list[float]:
        trainer = one_stage(data, StageConfig(iterations=2, batch_size=2, G=G(loss={"mse": 1})), seed=seed)
        return [iteration(trainer)["G/mse"].item() for _ in range(2)]

    assert mse(1) == mse(1)
    assert mse(1) != mse(2)


def test_an_aux_loss_needs_a_classifier_of_these_labels(data: Path, tmp_path: Path) -> None:
    stage = StageConfig(iterations=1, batch_size=2, G=G(loss={"aux": 1}))
    with pytest.raises(UsageError, match="there is no auxiliary classifier: name one with --aux_classifier"):
        one_stage(data, stage)
    AttributeClassifier(["dog"]).save(tmp_path / "dogs")
    with pytest.raises(UsageError, match="other labels than these stories"):
        one_stage(data, stage, aux_classifier=str(tmp_path / "dogs"))


def test_plain_english_needs_its_own_encoder(data: Path, tmp_path: Path) -> None:
    stories = [Story(s.story_id, ["Pororo sings."] * 2, s.frames) for s in read_stories(data, "train")]
    write_shard(tmp_path / shard_name("train", 0, 1), stories, None)
    with pytest.raises(UsageError, match=r"Pororo sings.*: --sentence_encoder sentence$"):
        one_stage(tmp_path, paper_stage())


def test_samples_show_fixed_stories_and_noise(data: Path) -> None:
    trainer = one_stage(data, paper_stage())
    one, two = trainer.sample(), trainer.sample()
    assert np.array_equal(one, two)
    assert np.array_equal(one[:, :2], open_split(data, "train").batch(np.arange(6)))


def test_the_model_has_the_aspect_ratio_of_the_data_set(data: Path) -> None:
    dataset = replace(open_split(data, "train"), aspect_ratio=4 / 3)
    trainer = one_stage(data, replace(paper_stage(), ema=0.5))
    experiment = replace(trainer.experiment, dataset=dataset)
    assert StageTrainer(experiment, 0, InitialWeights()).inference_model().aspect_ratio == 4 / 3
