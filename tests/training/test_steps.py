"""The game is the right way round: what each network minimises, what a step changes, and what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.golden import set_weights
from tests.training.tiny import D_I, D_S, G, one_stage, paper_stage
from torch import Tensor, nn

from storygan.config import VARIANTS, DiscriminatorConfig, ModelConfig, StageConfig, Variant
from storygan.data.sample import write_sample
from storygan.models.attribute_classifier import SHIPPED
from storygan.models.baselines import HAS_STORY_DISCRIMINATOR
from storygan.training import loop, steps
from storygan.training.distributed import running_statistics
from storygan.training.loop import iteration
from storygan.training.networks import frozen
from storygan.training.stage_folder import InitialWeights
from storygan.training.trainer import StageTrainer

B, T = 4, 2


@pytest.fixture(scope="module")
def data(make_dataset: Callable[..., Path]) -> Path:
    """Eight labelled stories of two frames."""
    return make_dataset(stories=8, T=T)


def state(trainer: StageTrainer) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in trainer.nets.each().items()
    }


def changed(before: dict[str, dict[str, Tensor]], after: dict[str, dict[str, Tensor]]) -> set[str]:
    """The networks of which a parameter or a buffer is not what it was."""
    return {n for n in before if any(not torch.equal(before[n][key], after[n][key]) for key in before[n])}


def terms_of(trainer: StageTrainer, name: str, k: int = 0) -> tuple[dict[str, Tensor], steps.Batch, steps.Generated]:
    """The terms of one network in iteration k, with every norm in evaluation mode, and what they are of."""
    batch = trainer.loader.load(k, slice(None))
    for key, network in trainer.nets.each().items():
        network.eval()
        if key != "C":  # whose logits are not all near 0, as those of the initial weights are
            set_weights(network.module)
    fake = steps.generate(trainer.nets, batch, trainer.loader.noise(batch, k, slice(None)))
    weights = trainer.stage.learning()[name].loss
    return steps.LOSSES[name](trainer.nets, batch, fake, weights, trainer.stage, k), batch, fake


def softplus(value: Tensor) -> float:
    return math.log1p(math.exp(value.item()))


def D_I_logit(trainer: StageTrainer, x: Tensor, s_t: Tensor, h_0: Tensor) -> Tensor:
    (logits,), _ = trainer.nets.D_I(x[None], (s_t[None], h_0[None]))
    return logits[0]


def D_S_logit(trainer: StageTrainer, X: Tensor, S: Tensor) -> Tensor:
    return trainer.nets.D_S(X[None], S[None])[0][0]


# ---- D_I ----


@pytest.mark.parametrize("mismatched", [False, True])
def test_L_image_of_D_I_is_that_of_a_naive_sum_over_frames(data: Path, mismatched: bool) -> None:
    """-log D(x) and -log(1 - D(x^)), summed over the frames of a story, averaged over stories."""
    trainer = one_stage(data, paper_stage(batch_size=B, mismatched=mismatched))
    terms, batch, fake = terms_of(trainer, "D_I")
    L = 0.0
    for b in range(B):
        other = (b - 1) % B
        for t in range(T):
            L += softplus(-D_I_logit(trainer, batch.X[b, t], batch.S[b, t], fake.h_0[b]))
            L_fake = softplus(D_I_logit(trainer, fake.X_hat[b, t], batch.S[b, t], fake.h_0[b]))
            if mismatched:
                L_fake += softplus(D_I_logit(trainer, batch.X[b, t], batch.S[other, t], fake.h_0[other]))
                L_fake /= 2
            L += L_fake
    assert terms["L_image"].item() == pytest.approx(L / B, rel=1e-4)


def test_the_logits_in_the_log_are_of_real_and_of_generated_frames(data: Path) -> None:
    trainer = one_stage(data, paper_stage(batch_size=B))
    for name, logit in (("D_I", None), ("D_S", D_S_logit)):
        terms, batch, fake = terms_of(trainer, name)
        for term, X in (("real", batch.X), ("fake", fake.X_hat)):
            if logit:
                each = [logit(trainer, X[b], batch.S[b]) for b in range(B)]
            else:
                each = [D_I_logit(trainer, X[b, t], batch.S[b, t], fake.h_0[b]) for b in range(B) for t in range(T)]
            assert terms[term].item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-4, abs=1e-6)


def test_R1_of_D_I_is_a_sum_over_frames_and_of_D_S_over_the_sequence(data: Path) -> None:
    """r1_every/2 times the squared gradient by the real frames, each story's summed, averaged over stories; R2 by the
    generated ones."""
    D = {"D_I": D_I(loss={"L_image": 1, "r1": 1, "r2": 1}), "D_S": D_S(loss={"L_story": 1, "r1": 1, "r2": 1})}
    trainer = one_stage(data, paper_stage(batch_size=B, r1_every=3, **D))
    terms, batch, fake = terms_of(trainer, "D_I")
    story_terms, _, _ = terms_of(trainer, "D_S")
    for term, frames in (("r1", batch.X), ("r2", fake.X_hat)):
        total = story_total = 0.0
        for b in range(B):
            X = frames[b].detach().clone().requires_grad_()
            for t in range(T):
                (grad,) = torch.autograd.grad(D_I_logit(trainer, X[t], batch.S[b, t], fake.h_0[b]), X)
                total += grad.square().sum().item()
            (grad,) = torch.autograd.grad(D_S_logit(trainer, X, batch.S[b]), X)
            story_total += grad.square().sum().item()
        assert terms[term].item() == pytest.approx(3 / 2 * total / B, rel=1e-3)
        assert story_terms[term].item() == pytest.approx(3 / 2 * story_total / B, rel=1e-3)
        assert terms[term].requires_grad
    for k in (1, 2):
        assert not {"r1", "r2"} & terms_of(trainer, "D_I", k)[0].keys()
        assert not {"r1", "r2"} & terms_of(trainer, "D_S", k)[0].keys()
    assert {"r1", "r2"} <= terms_of(trainer, "D_I", 3)[0].keys()


@pytest.mark.parametrize("mismatched", [False, True])
def test_the_relativistic_discriminators_compare_real_and_generated_of_one_sentence(
    data: Path, mismatched: bool
) -> None:
    trainer = one_stage(data, paper_stage(batch_size=B, gan_loss="relativistic", mismatched=mismatched))
    terms, batch, fake = terms_of(trainer, "D_I")
    story_terms, _, _ = terms_of(trainer, "D_S")
    L_image = L_story = 0.0
    for b in range(B):
        other = (b - 1) % B
        for t in range(T):
            real = D_I_logit(trainer, batch.X[b, t], batch.S[b, t], fake.h_0[b])
            fakes = [D_I_logit(trainer, fake.X_hat[b, t], batch.S[b, t], fake.h_0[b])]
            if mismatched:
                fakes.append(D_I_logit(trainer, batch.X[b, t], batch.S[other, t], fake.h_0[other]))
            L_image += sum(softplus(one - real) for one in fakes) / len(fakes)
        real = D_S_logit(trainer, batch.X[b], batch.S[b])
        fakes = [D_S_logit(trainer, fake.X_hat[b], batch.S[b])]
        if mismatched:
            fakes.append(D_S_logit(trainer, batch.X[b], batch.S[other]))
        L_story += sum(softplus(one - real) for one in fakes) / len(fakes)
    assert terms["L_image"].item() == pytest.approx(L_image / B, rel=1e-4)
    assert story_terms["L_story"].item() == pytest.approx(L_story / B, rel=1e-4)


def test_some_frames_estimate_all(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over every choice of one frame a story, the mean of a term is the term of all frames."""
    options: dict[str, Any] = {"discriminator": DiscriminatorConfig(label_head=True)}
    networks = {"D_I": D_I(loss={"L_image": 1, "label": 1}), "G": G(loss={"L_image": 1, "label": 1})}
    for name in ("D_I", "G"):
        each = []
        for t in range(T):
            monkeypatch.setattr("storygan.training.batches.sample_disc_frames", lambda *_, t=t: np.full((B, 1), t))
            terms, _, _ = terms_of(
                one_stage(data, paper_stage(batch_size=B, disc_frames=1, **networks), **options), name
            )
            each.append(torch.stack([terms["L_image"], terms["label"]]))
        terms, _, _ = terms_of(one_stage(data, paper_stage(batch_size=B, **networks), **options), name)
        whole = torch.stack([terms["L_image"], terms["label"]])
        torch.testing.assert_close(torch.stack(each).mean(0), whole, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(each[0], each[1])


def test_the_condition_h_0_is_detached_and_each_frame_has_its_sentence(data: Path) -> None:
    trainer = one_stage(data, paper_stage(batch_size=B))
    batch = trainer.loader.load(0, slice(None))
    fake = steps.generate(trainer.nets, batch, trainer.loader.noise(batch, 0, slice(None)))
    s, h_0 = steps.conditions(batch, fake)
    assert fake.h_0.requires_grad
    assert not h_0.requires_grad
    assert torch.equal(s.view(B, T, 128), batch.S)
    assert torch.equal(h_0.view(B, T, 128)[:, 1], fake.h_0)


def test_mismatched_pairs_are_another_storys(data: Path) -> None:
    nets = one_stage(data, paper_stage()).nets
    S = torch.arange(3.0)[:, None, None].expand(3, 2, 128)
    assert (steps.mismatched_story(nets, S) != S).all()
    flat = S.flatten(0, 1)  # two frames of each story
    assert torch.equal(steps.mismatched_story(nets, flat, 2), steps.mismatched_story(nets, S).flatten(0, 1))


# ---- D_S ----


@pytest.mark.parametrize("mismatched", [False, True])
def test_L_story_of_D_S_is_that_of_a_naive_mean_over_stories(data: Path, mismatched: bool) -> None:
    trainer = one_stage(data, paper_stage(batch_size=B, mismatched=mismatched))
    terms, batch, fake = terms_of(trainer, "D_S")
    L = 0.0
    for b in range(B):
        L += softplus(-D_S_logit(trainer, batch.X[b], batch.S[b]))
        L_fake = softplus(D_S_logit(trainer, fake.X_hat[b], batch.S[b]))
        if mismatched:
            L_fake = (L_fake + softplus(D_S_logit(trainer, batch.X[b], batch.S[(b - 1) % B]))) / 2
        L += L_fake
    assert terms["L_story"].item() == pytest.approx(L / B, rel=1e-4)


# ---- G ----


GAN_LOSSES = ("saturating", "non-saturating", "relativistic")


@pytest.mark.parametrize("gan_loss", GAN_LOSSES)
def test_the_generators_terms_are_those_of_a_naive_sum(data: Path, gan_loss: str) -> None:
    loss = {"L_image": 1, "L_story": 1, "L_KL": 1, "mse": 1, "label": 1}
    stage = paper_stage(batch_size=B, gan_loss=gan_loss, G=G(loss=loss))
    trainer = one_stage(data, stage, discriminator=DiscriminatorConfig(label_head=True))
    terms, batch, fake = terms_of(trainer, "G")

    def G_loss(fake_logit: Tensor, real_logit: Tensor) -> float:
        if gan_loss == "relativistic":
            return softplus(real_logit - fake_logit)
        return -softplus(fake_logit) if gan_loss == "saturating" else softplus(-fake_logit)

    L_image = L_story = 0.0
    for b in range(B):
        for t in range(T):
            logits = (D_I_logit(trainer, X[b, t], batch.S[b, t], fake.h_0[b]) for X in (fake.X_hat, batch.X))
            L_image += G_loss(*logits)
        L_story += G_loss(*(D_S_logit(trainer, X[b], batch.S[b]) for X in (fake.X_hat, batch.X)))
    mu, sigma2 = fake.mu.double(), fake.log_sigma2.double().exp()
    L_KL = (0.5 * (mu**2 + sigma2 - 1 - sigma2.log())).sum().item()
    expected = {"L_image": L_image / B, "L_story": L_story / B, "L_KL": L_KL / B}
    expected["mse"] = ((fake.X_hat - batch.X) ** 2).mean().item()
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-4), name
    _, labels = trainer.nets.D_I(steps.images(fake.X_hat), steps.conditions(batch, fake))
    p = labels.double().sigmoid()
    y = batch.labels.flatten(0, 1)
    cross_entropy = -(y * p.log() + (1 - y) * (1 - p).log()).mean().item()
    assert terms["label"].item() == pytest.approx(cross_entropy, rel=1e-4)


def test_the_mse_weighs_the_foreground(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    stage = StageConfig(iterations=1, batch_size=B, frames=2, foreground_weight=5.0, G=G(loss={"mse": 1}))
    trainer = one_stage(tmp_path / "sample", stage)
    terms, batch, fake = terms_of(trainer, "G")
    dataset = trainer.experiment.dataset
    foreground = dataset.foreground(batch.story_idx.numpy())
    total = 0.0
    for b in range(B):
        for n, t in enumerate(batch.frame_idx[b].tolist()):
            errors = (fake.X_hat[b, n] - batch.X[b, n]).detach().square().sum(0).numpy()
            total += errors.sum() + 4 * errors[foreground[b, t]].sum()
    assert 0.01 < foreground.mean() < 0.5
    assert terms["mse"].item() == pytest.approx(total / (B * 2 * 3 * 64 * 64), rel=1e-4)


def test_the_auxiliary_classifier_prefers_what_the_sentences_say(tmp_path: Path) -> None:
    """Its loss is small on real frames, and larger where frames lack an object, have one too many or are another's."""
    write_sample(tmp_path / "sample")
    stage = StageConfig(iterations=1, batch_size=B, G=G(loss={"aux": 1}))
    trainer = one_stage(tmp_path / "sample", stage, aux_classifier=str(SHIPPED))
    batch = trainer.loader.load(0, slice(None))
    trainer.set_modes()

    def aux(X: Tensor) -> float:
        return steps.aux_loss(trainer.nets.C, steps.images(X), batch.targets).item()

    real = aux(batch.X)
    assert real < 0.3
    for wrong in (batch.X[:, [0, 0, 0, 0]], batch.X[:, [3, 3, 3, 3]], batch.X.roll(1, 0)):
        assert aux(wrong) > real + 0.3


WEIGHTED = {
    "D_I": {"L_image": 0.5, "label": 3.0, "r1": 2.0},
    "D_S": {"L_story": 0.5, "r1": 2.0},
    "G": {"L_image": 0.5, "L_story": 2.0, "L_KL": 3.0, "mse": 7.0},
}


@pytest.mark.parametrize("network", WEIGHTED)
def test_the_step_follows_the_weighted_sum_of_the_terms(data: Path, network: str) -> None:
    """The gradient of all terms is the weighted sum of each one's: alpha, beta and the KL weight count."""

    def gradient(loss: dict[str, float]) -> Tensor:
        build: Any = {"G": G, "D_I": D_I, "D_S": D_S}[network]
        networks = {"D_I": None, "D_S": None, "G": None, network: build(loss=loss, lr=0.0)}
        stage = paper_stage(batch_size=2, r1_every=1, **networks)
        trainer = one_stage(data, stage, discriminator=DiscriminatorConfig(label_head=True))
        iteration(trainer)
        parameters = trainer.nets.each()[network].parameters()
        return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])

    alone = [weight * gradient({term: 1.0}) for term, weight in WEIGHTED[network].items()]
    assert all(part.norm() > 1e-4 for part in alone)
    whole = gradient(WEIGHTED[network])
    assert (torch.stack(alone).sum(0) - whole).norm() < 1e-4 * whole.norm()


def test_the_adversarial_ratio_balances_the_gradients_by_the_frames(data: Path) -> None:
    """The step follows mse + scale * (L_image + L_story) + L_KL, with the scale that gives the norms their ratio."""

    def stepped(**options: Any) -> tuple[StageTrainer, dict[str, Tensor]]:
        loss = {"L_image": 0.5, "L_story": 2.0, "L_KL": 0.1, "mse": 3.0}
        D = {"D_I": D_I(loss={"L_image": 1}, lr=0.0), "D_S": D_S(loss={"L_story": 1}, lr=0.0)}
        trainer = one_stage(data, paper_stage(**D, G=G(loss={**loss, **options.pop("loss", {})}, lr=0.0, **options)))
        return trainer, iteration(trainer)

    def gradient(trainer: StageTrainer) -> Tensor:
        return torch.cat([p.grad.flatten() for p in trainer.nets.G.parameters() if p.grad is not None])

    balanced, metrics = stepped(adversarial_ratio=4.0)
    scale = metrics["G/adversarial_scale"].item()
    plain, _ = stepped(loss={"L_image": 0.5 * scale, "L_story": 2.0 * scale})
    assert (gradient(balanced) - gradient(plain)).norm() < 1e-4 * gradient(plain).norm()

    batch = plain.loader.load(0, slice(None))
    plain.set_modes()
    with frozen(*plain.nets.others("G")):
        fake = steps.generate(plain.nets, batch, plain.loader.noise(batch, 0, slice(None)))
        terms = steps.generator_terms(plain.nets, batch, fake, plain.stage.G.loss, plain.stage, 0)  # type: ignore[union-attr]
        norms = [
            torch.autograd.grad(term, fake.X_hat, retain_graph=True)[0].norm().item()
            for term in (3.0 * terms["mse"], 0.5 * terms["L_image"] + 2.0 * terms["L_story"])
        ]
    assert scale == pytest.approx(4.0 * norms[0] / norms[1], rel=1e-3)


def test_the_adversarial_ratio_goes_by_running_means_that_are_saved(data: Path) -> None:
    stage = paper_stage(G=G(loss={"L_image": 1, "mse": 1}, adversarial_ratio=1.0))
    trainer = one_stage(data, stage)
    ratio = trainer.adversarial_ratio
    assert ratio is not None
    iteration(trainer)
    first = ratio.norms.clone()
    x = torch.zeros(2, requires_grad=True)
    ratio.backward({"mse": 3 * x[0], "L_image": 4 * x[1]}, x)
    torch.testing.assert_close(ratio.norms, 0.95 * first + 0.05 * torch.tensor([3.0, 4.0]))
    state = trainer.state_dict()
    again = one_stage(data, stage)
    again.load_state_dict(state)
    assert torch.equal(again.adversarial_ratio.norms, ratio.norms)  # type: ignore[union-attr, arg-type]


# ---- what a step does ----


def fixed_batch(trainer: StageTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every iteration see the first one's batch and noise; the frames are smooth random pictures."""
    batch = trainer.loader.load(0, slice(None))
    noise = trainer.loader.noise(batch, 0, slice(None))
    B = len(batch.X)
    coarse = torch.rand(B * T, 3, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1
    batch = replace(batch, X=nn.functional.interpolate(coarse, size=64, mode="bilinear").unflatten(0, (B, T)))
    monkeypatch.setattr(type(trainer.loader), "load", lambda self, k, part: batch)
    monkeypatch.setattr(type(trainer.loader), "noise", lambda self, batch, k, part, step: noise)


def test_discriminators_learn_that_real_is_above_generated(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_the_generator_learns_to_raise_the_discriminators_logit(
    data: Path, monkeypatch: pytest.MonkeyPatch, term: str, gan_loss: str
) -> None:
    """Against discriminators with a learning rate of 0."""
    D = {"D_I": D_I(loss={"L_image": 1}, lr=0.0), "D_S": D_S(loss={"L_story": 1}, lr=0.0)}
    trainer = one_stage(data, paper_stage(batch_size=2, gan_loss=gan_loss, **{**D, "G": G(loss={term: 1}, lr=1e-3)}))
    fixed_batch(trainer, monkeypatch)
    logits = [iteration(trainer)[f"{'D_I' if term == 'L_image' else 'D_S'}/fake"].item() for _ in range(4)]
    assert logits[-1] > logits[0]


def test_the_generator_learns_the_frames_and_KL_draws_the_story_context_to_the_normal(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_each_network_changes_in_its_own_step_alone(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, spectral_norm: bool
) -> None:
    trainer = one_stage(
        data,
        paper_stage(**OPTIONS[name], freeze_batch_norm=True),
        discriminator=DiscriminatorConfig(spectral_norm=spectral_norm),
    )
    after = [state(trainer)]
    for optimizer in trainer.optimizers.values():
        step = optimizer.step
        monkeypatch.setattr(optimizer, "step", lambda step=step: (step(), after.append(state(trainer))))
    iteration(trainer)
    assert [changed(*pair) for pair in pairwise(after)] == [{"D_I"}, {"D_S"}, {"G"}]
    assert changed(after[-1], state(trainer)) == set()
    assert all(p.requires_grad for network in trainer.nets.each().values() for p in network.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_iteration_moves_every_parameter(data: Path, variant: Variant) -> None:
    trainer = one_stage(
        data,
        paper_stage(D_I=D_I(loss={"L_image": 1, "label": 1}), mismatched=True),
        model=ModelConfig(variant, T=T),
        discriminator=DiscriminatorConfig(label_head=True),
    )
    assert ("D_S" in trainer.nets.each()) == HAS_STORY_DISCRIMINATOR[variant] == (variant != "imagegan")
    before = state(trainer)
    metrics = iteration(trainer)
    after = state(trainer)
    still = [f"{n}.{key}" for n in before for key in before[n] if torch.equal(before[n][key], after[n][key])]
    assert still == []
    assert ("G/L_story" in metrics) == (variant != "imagegan")
    assert all(torch.isfinite(value) and not value.requires_grad for value in metrics.values())


def test_a_stage_of_discriminators_leaves_the_generator_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weight, no running mean; and its graph is not built."""
    made: list[steps.Generated] = []
    monkeypatch.setattr(loop, "generate", lambda *args: made.append(steps.generate(*args)) or made[-1])
    trainer = one_stage(data, paper_stage(G=None, ema=0.9))
    before = state(trainer)
    iteration(trainer)
    assert changed(before, state(trainer)) == {"D_I", "D_S"}
    assert trainer.ema is None
    assert [fake.X_hat.requires_grad for fake in made] == [False]


def test_a_stage_builds_no_network_that_no_term_needs(data: Path) -> None:
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
        trainer.sample()  # in evaluation mode, and training mode comes back
    assert all(map(torch.equal, statistics(), before))
    assert not torch.equal(trainer.model.story_encoder.layer[0].weight, weights)
    trainer.stage.freeze_batch_norm = False
    iteration(trainer)
    assert not any(map(torch.equal, statistics(), before))


def test_further_steps_take_fresh_noise(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noises = []
    generate = steps.generate
    monkeypatch.setattr(
        loop, "generate", lambda nets, batch, noise: noises.append(noise) or generate(nets, batch, noise)
    )
    iteration(one_stage(data, paper_stage(G=G(loss={"L_image": 1}, steps=3))))
    assert len(noises) == 3  # the first one is also the discriminators'
    assert len({noise.eps_0[0, 0].item() for noise in noises}) == 3
    assert len({noise.g_0[0, 0].item() for noise in noises}) == 3


def test_adam_has_the_betas_and_the_rate_of_its_network(data: Path) -> None:
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


def rates(trainer: StageTrainer, name: str, iterations: int) -> list[float]:
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
    assert rates(trainer, "G", 4) == pytest.approx([1e-3 * part for part in at_quarters])
    assert rates(trainer, "D_S", 4) == [2e-4] * 4
    assert trainer.loader.iterations_per_epoch == 4  # 8 stories, 2 at a time
    assert rates(trainer, "D_I", 240) == [2e-4 * 0.5**n for n in range(3) for _ in range(80)]  # every 20 epochs


def test_ema_follows_the_generator(data: Path) -> None:
    trainer = one_stage(data, StageConfig(iterations=3, batch_size=2, G=G(loss={"mse": 1}), ema=0.75))
    iteration(trainer)
    first = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert all(torch.equal(value, first[name]) for name, value in trainer.inference_model().state_dict().items())
    iteration(trainer)
    second = trainer.model.state_dict()
    for name, value in trainer.inference_model().named_parameters():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name], rtol=1e-5, atol=1e-7)


def test_a_stage_starts_with_the_networks_that_it_is_given(data: Path) -> None:
    one = one_stage(data, paper_stage(), seed=1)
    start = InitialWeights({name: network.module.state_dict() for name, network in one.nets.each().items()})
    two = one_stage(data, paper_stage(), start=start, seed=2)
    assert changed(state(one), state(two)) == set()
    assert changed(state(one), state(one_stage(data, paper_stage(), seed=2))) == {"G", "D_I", "D_S"}


def test_frozen_networks_pass_gradients_and_stay_as_they_are() -> None:
    network = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1))
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(8, 4, requires_grad=True)
    with frozen(network):
        network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_norm_none_leaves_batch_norm_out(data: Path) -> None:
    """A discriminator's logit of one frame then does not depend on the others, and R1 does not mix samples."""
    trainer = one_stage(data, paper_stage(batch_size=B), discriminator=DiscriminatorConfig(norm="none"))
    D = trainer.nets.D_I.train()
    batch = trainer.loader.load(0, slice(None))
    x, s = steps.images(batch.X), batch.S.flatten(0, 1)
    (sync_errors,), _ = D(x, (s, s))
    (alone,), _ = D(x[:2], (s[:2], s[:2]))
    torch.testing.assert_close(sync_errors[:2], alone)
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in trainer.nets.D_S.modules())


def test_without_norm_the_features_keep_their_scale(data: Path) -> None:
    """He initialization: from layer to layer, and up to logits of order 1."""
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
