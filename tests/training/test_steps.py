"""Loss terms equal naive sums over frames and stories, and the step follows their weighted sum."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.golden import set_weights
from tests.training.tiny import D_I, D_S, B, G, T, one_stage, paper_stage
from torch import Tensor

from storygan.config import DiscriminatorConfig, StageConfig
from storygan.data.sample import write_sample
from storygan.models.attribute_classifier import SHIPPED
from storygan.training import steps
from storygan.training.loop import iteration
from storygan.training.trainer import StageTrainer


def terms_of(trainer: StageTrainer, name: str, k: int = 0) -> tuple[dict[str, Tensor], steps.Batch, steps.Generated]:
    """Return the terms of a network in iteration k, in evaluation mode, with the batch and the generated frames."""
    batch = trainer.loader.load(k, slice(None))
    for key, network in trainer.nets.each().items():
        network.eval()
        if key != "C":  # logits of the initial weights are all near 0
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


@pytest.mark.parametrize("mismatched", [False, True])
def test_L_image_of_D_I_equals_a_naive_sum_over_frames(data: Path, mismatched: bool) -> None:
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


def test_logged_logits_are_means_over_real_and_generated_frames(data: Path) -> None:
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
def test_relativistic_losses_compare_real_and_generated_frames_of_one_sentence(data: Path, mismatched: bool) -> None:
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


def test_disc_frames_gives_unbiased_terms(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of a term over all choices of one frame per story is the term of all frames."""
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


def test_h_0_is_detached_and_each_frame_has_its_sentence(data: Path) -> None:
    trainer = one_stage(data, paper_stage(batch_size=B))
    batch = trainer.loader.load(0, slice(None))
    fake = steps.generate(trainer.nets, batch, trainer.loader.noise(batch, 0, slice(None)))
    s, h_0 = steps.conditions(batch, fake)
    assert fake.h_0.requires_grad
    assert not h_0.requires_grad
    assert torch.equal(s.view(B, T, 128), batch.S)
    assert torch.equal(h_0.view(B, T, 128)[:, 1], fake.h_0)


def test_mismatched_story_is_another_story(data: Path) -> None:
    nets = one_stage(data, paper_stage()).nets
    S = torch.arange(3.0)[:, None, None].expand(3, 2, 128)
    assert (steps.mismatched_story(nets, S) != S).all()
    flat = S.flatten(0, 1)  # two frames of each story
    assert torch.equal(steps.mismatched_story(nets, flat, 2), steps.mismatched_story(nets, S).flatten(0, 1))


@pytest.mark.parametrize("mismatched", [False, True])
def test_L_story_of_D_S_equals_a_naive_mean_over_stories(data: Path, mismatched: bool) -> None:
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


GAN_LOSSES = ("saturating", "non-saturating", "relativistic")


@pytest.mark.parametrize("gan_loss", GAN_LOSSES)
def test_generator_terms_equal_naive_sums(data: Path, gan_loss: str) -> None:
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


def test_mse_weights_the_foreground(tmp_path: Path) -> None:
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


def test_aux_loss_is_larger_for_wrong_frames(tmp_path: Path) -> None:
    """It is small on real frames; it is larger where an object is missing, one is added, or the story is another."""
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
def test_the_gradient_is_the_weighted_sum_of_the_terms(data: Path, network: str) -> None:
    """The gradient of all terms is the weighted sum of the gradients of each."""

    def gradient(loss: dict[str, float]) -> Tensor:
        build: Any = {"G": G, "D_I": D_I, "D_S": D_S}[network]
        networks = {"D_I": None, "D_S": None, "G": None, network: build(loss=loss, lr=0.0)}
        stage = paper_stage(batch_size=2, r1_every=1, **networks)
        trainer = one_stage(data, stage, discriminator=DiscriminatorConfig(label_head=True))
        iteration(trainer)
        parameters = trainer.nets.each()[network].parameters()
        return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])

    parts = [weight * gradient({term: 1.0}) for term, weight in WEIGHTED[network].items()]
    assert all(part.norm() > 1e-4 for part in parts)
    whole = gradient(WEIGHTED[network])
    assert (torch.stack(parts).sum(0) - whole).norm() < 1e-4 * whole.norm()
