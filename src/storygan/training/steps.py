"""The loss terms of every network (paper, section 3.4).

`LOSSES[network]` returns the terms by name: those to which the stage gives a weight, and mean logits for the log.
`loop.iteration` weights them and takes the Adam step. Shapes: B stories, n generated frames, m frames that D_I sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from storygan import losses
from storygan.config import (
    AuxClassifierLoss,
    GeneratorLoss,
    ImageDiscriminatorLoss,
    StageConfig,
    StoryDiscriminatorLoss,
)
from storygan.models.noise import Noise
from storygan.training.batches import Batch, take
from storygan.training.networks import Networks, aux_loss, classifier_terms

Terms = dict[str, Tensor]
"""Name -> scalar."""


@dataclass
class Generated:
    """The generator's output for a batch, with its graph."""

    X_hat: Tensor
    """(B, n, 3, 64, 64) in [-1, 1]."""
    h_0: Tensor
    """(B, 128), sampled from N(mu, sigma^2)."""
    mu: Tensor
    """(B, 128)."""
    log_sigma2: Tensor
    """(B, 128)."""


def generate(nets: Networks, batch: Batch, noise: Noise) -> Generated:
    """Compute step 1: `X^ = G(S, noise)`, the frames `frame_idx`."""
    return Generated(*nets.G(batch.S, noise, batch.frame_idx))


def image_discriminator_terms(
    nets: Networks, batch: Batch, fake: Generated, weights: ImageDiscriminatorLoss, stage: StageConfig, k: int
) -> Terms:
    """Compute step 2, D_I: real and generated (x_t, s_t, h_0). L_image, r1 and r2 are sums over the T frames."""
    T, (s, h_0) = batch.S.shape[1], conditions(batch, fake)
    x, x_hat = (images(batch.select_frames(X.detach())) for X in (batch.X, fake.X_hat))  # (B*m, 3, 64, 64)
    r1, r2 = require_penalties(weights, stage, k, x, x_hat)
    m = len(x) // len(batch.X)
    pairs = [(s, h_0)]
    if stage.mismatched:
        pairs.append((mismatched_story(nets, s, m), mismatched_story(nets, h_0, m)))
    (real, *wrong), labels = nets.D_I(x, *pairs)  # logits (B*m,)
    (fake_logits,), _ = nets.D_I(x_hat, (s, h_0))
    L_image = losses.discriminator_loss(stage.gan_loss, *(one.view(-1, m) for one in (real, fake_logits, *wrong)))
    terms = {"L_image": L_image * (T / m), "real": real.mean(), "fake": fake_logits.mean()}
    if r1:
        terms["r1"] = stage.r1_every * T * 0.5 * losses.gradient_penalty(real, x)
    if r2:
        terms["r2"] = stage.r1_every * T * 0.5 * losses.gradient_penalty(fake_logits, x_hat)
    if weights.label:
        terms["label"] = losses.label_loss(labels, batch.select_frames(batch.labels).flatten(0, 1))
    return terms


def story_discriminator_terms(
    nets: Networks, batch: Batch, fake: Generated, weights: StoryDiscriminatorLoss, stage: StageConfig, k: int
) -> Terms:
    """Compute step 2, D_S: real and generated (X, S)."""
    X, X_hat = batch.X.detach(), fake.X_hat.detach()
    r1, r2 = require_penalties(weights, stage, k, X, X_hat)
    stories = [batch.S, *([mismatched_story(nets, batch.S)] if stage.mismatched else [])]
    real, *wrong = nets.D_S(X, *stories)  # logits (B,)
    (fake_logits,) = nets.D_S(X_hat, batch.S)
    L_story = losses.discriminator_loss(stage.gan_loss, *(one[:, None] for one in (real, fake_logits, *wrong)))
    terms = {"L_story": L_story, "real": real.mean(), "fake": fake_logits.mean()}
    if r1:
        terms["r1"] = stage.r1_every * 0.5 * losses.gradient_penalty(real, X)
    if r2:
        terms["r2"] = stage.r1_every * 0.5 * losses.gradient_penalty(fake_logits, X_hat)
    return terms


def generator_terms(
    nets: Networks, batch: Batch, fake: Generated, weights: GeneratorLoss, stage: StageConfig, k: int
) -> Terms:
    """Compute step 3: story encoder, context encoder and image generator, with the discriminators frozen."""
    terms, T, relativistic = Terms(), batch.S.shape[1], stage.gan_loss == "relativistic"
    if weights.L_KL:
        terms["L_KL"] = losses.kl_loss(fake.mu, fake.log_sigma2)
    if weights.mse:
        terms["mse"] = losses.mse(fake.X_hat, batch.X, batch.pixel_weight)
    if weights.L_image or weights.label:
        x_hat, pairs = batch.select_frames(fake.X_hat), conditions(batch, fake)
        B_m = x_hat.shape[:2]
        (logits,), labels = nets.D_I(images(x_hat), pairs)  # logits (B*m,)
        with torch.no_grad():
            real = nets.D_I(images(batch.select_frames(batch.X)), pairs)[0][0].view(B_m) if relativistic else None
        L_image = losses.generator_loss(stage.gan_loss, logits.view(B_m), real)
        terms["L_image"] = L_image * (T / x_hat.shape[1])
        if weights.label:
            terms["label"] = losses.label_loss(labels, batch.select_frames(batch.labels).flatten(0, 1))
    if weights.L_story:
        (logits,) = nets.D_S(fake.X_hat, batch.S)  # (B,)
        with torch.no_grad():
            real = nets.D_S(batch.X, batch.S)[0][:, None] if relativistic else None
        terms["L_story"] = losses.generator_loss(stage.gan_loss, logits[:, None], real)
    if weights.aux:
        terms["aux"] = aux_loss(nets.C, images(fake.X_hat), batch.targets)
    return terms


def aux_classifier_terms(
    nets: Networks, batch: Batch, fake: Generated | None, weights: AuxClassifierLoss, stage: StageConfig, k: int
) -> Terms:
    """Compute the auxiliary classifier's terms on augmented real frames."""
    x, targets = batch.augmented
    return classifier_terms(nets.C, x, targets, weights)


LOSSES: dict[str, Callable[[Networks, Batch, Any, Any, StageConfig, int], Terms]] = {
    "D_I": image_discriminator_terms,
    "D_S": story_discriminator_terms,
    "C": aux_classifier_terms,
    "G": generator_terms,
}


def conditions(batch: Batch, fake: Generated) -> tuple[Tensor, Tensor]:
    """Return `s_t` and `h_0` of every frame that D_I sees, (B*m, 128) each.

    `h_0` is detached: the story encoder learns through the frames and the KL term.
    """
    s = batch.select_frames(take(batch.S, batch.frame_idx))
    return s.flatten(0, 1), fake.h_0.detach().repeat_interleave(s.shape[1], dim=0)


def mismatched_story(nets: Networks, condition: Tensor, m: int = 1) -> Tensor:
    """Return the condition of another story for each story: the batch of all processes, rolled by one story.

    Each story has m rows.
    """
    whole = nets.fabric.all_gather(condition.detach()).view(-1, *condition.shape[1:])
    first = nets.fabric.global_rank * len(condition)
    return whole.roll(m, dims=0)[first : first + len(condition)]


def images(X: Tensor) -> Tensor:
    """Flatten (B, n, 3, 64, 64) to (B*n, 3, 64, 64), channels_last: the fastest format on a CPU."""
    return X.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def require_penalties(weights: Any, stage: StageConfig, k: int, real: Tensor, fake: Tensor) -> tuple[bool, bool]:
    """Return whether iteration k computes R1 and R2 (lazy regularization); make their inputs require gradients."""
    due = k % stage.r1_every == 0
    r1, r2 = due and weights.r1 > 0, due and weights.r2 > 0
    real.requires_grad_(r1)
    fake.requires_grad_(r2)
    return r1, r2
