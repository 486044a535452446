"""One training iteration of the paper, one function an update.

1. `generate`: draw noise, `X^ = G(S)`;
2. `update_image_discriminator` on (x_t, s_t, h_0) and `update_story_discriminator` on (X, S), real and generated;
3. `update_generator`, both discriminators frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from storygan import losses
from storygan.config import LossConfig, WarmUpConfig
from storygan.models.noise import Noise

Metrics = dict[str, Tensor]
"""Name -> detached scalar."""
Lesson = Callable[[Tensor], Tensor]
"""Drawn frames (B, n, 3, 64, 64), n of each story -> scalar >= 0 with a graph."""


@dataclass
class Batch:
    """B stories."""

    X: Tensor
    """(B, T, 3, 64, 64) real frames in [-1, 1]; (B, n, ...) where only n are drawn."""
    S: Tensor
    """(B, T, 128) sentence vectors."""
    labels: Tensor | None = None
    """(B, T, K) in {0, 1}, where the label head is trained."""
    judged: Tensor | None = None
    """(B, n) int64, which frames of each story D_I judges; None: all T."""
    drawn: Tensor | None = None
    """(B, n) int64, which frames of each story are drawn, in the warm-up; None: all T."""
    counts: Tensor | None = None
    """(B, n, 1, 64, 64), how often the squared error of a pixel counts in the warm-up; None: once."""
    lesson: Lesson | None = None
    """What the teacher says of frames drawn for these stories, where there is one."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {n: part.to(device) for n, part in vars(self).items() if isinstance(part, Tensor)}
        return replace(self, **moved)

    def of_drawn(self, drawn: Tensor) -> Batch:
        """The same stories, of which only the frames `drawn` (B, n) are drawn."""
        rows = torch.arange(len(drawn), device=drawn.device)[:, None]
        return replace(self, X=self.X[rows, drawn], drawn=drawn)

    def told_in(self, order: Tensor) -> Batch:
        """The same frames, of stories whose sentences come in `order` (B, T)."""
        return replace(self, S=self.S[torch.arange(len(order), device=order.device)[:, None], order])

    def of_judged(self, parts: Tensor) -> Tensor:
        """What belongs to the frames that D_I judges: (B, T, ...) -> (B, n, ...)."""
        if self.judged is None:
            return parts
        return parts[torch.arange(len(parts), device=parts.device)[:, None], self.judged]

    def over_story(self, L_image: Tensor) -> Tensor:
        """A sum over the n judged frames, as that over all T that it stands for."""
        return L_image if self.judged is None else L_image * (self.S.shape[1] / self.judged.shape[1])


@dataclass
class Networks:
    """The three networks; `D_S` is None in the variant `imagegan`."""

    G: nn.Module
    D_I: nn.Module
    D_S: nn.Module | None


@dataclass
class Optimizers:
    """One for each network."""

    G: Any
    D_I: Any
    D_S: Any | None


@dataclass
class Generated:
    """What the generator made of a batch, with its graph."""

    X_hat: Tensor
    """(B, T, 3, 64, 64) in [-1, 1]; (B, n, ...) where only n are drawn."""
    h_0: Tensor
    """(B, 128)."""
    mu: Tensor
    """(B, 128), of `h_0`'s distribution; and"""
    log_sigma2: Tensor
    """(B, 128)."""


def conditions(S: Tensor, h_0: Tensor) -> tuple[Tensor, Tensor]:
    """`s_t` (B, n, 128) and `h_0` of every frame, (B*n, 128) each; `h_0` is detached: it learns through images and
    KL."""
    return S.flatten(0, 1), h_0.detach().repeat_interleave(S.shape[1], dim=0)


def other_story(fabric: Any, condition: Tensor) -> Tensor:
    """Another story's condition for every story: the whole batch, of all processes, rolled by one."""
    whole = fabric.all_gather(condition.detach()).view(-1, *condition.shape[1:])
    first = fabric.global_rank * len(condition)
    return whole.roll(1, dims=0)[first : first + len(condition)]


def frames(X: Tensor) -> Tensor:
    """(B, T, 3, 64, 64) -> (B*T, 3, 64, 64), channels_last: the fastest form on a CPU."""
    return X.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def generate(G: nn.Module, S: Tensor, noise: Noise, drawn: Tensor | None = None) -> Generated:
    """Step 1: `X^ = G(S, noise)`; of the frames `drawn` alone, where it is given."""
    return Generated(*G(S, noise, drawn))


def nearest_noise(G: nn.Module, batch: Batch, draws: Sequence[Noise]) -> Noise:
    """Before step 1, where the warm-up asks for it: of several draws of noise, each story's with the least
    `|X^ - X|^2`."""
    if len(draws) == 1:
        return draws[0]
    with torch.no_grad(), frozen(G):
        errors = [
            (generate(G, batch.S, noise, batch.drawn).X_hat - batch.X).square().flatten(1).mean(1) for noise in draws
        ]
    return Noise.pick(draws, torch.stack(errors).argmin(0))


def _fake_terms(generated: Tensor, mismatched: Tensor | None) -> Tensor:
    """The fake half of a discriminator's loss; mismatched pairs take half of it (Reed et al., 2016, algorithm 1)."""
    loss = losses.fake_loss(generated)
    return loss if mismatched is None else 0.5 * (loss + losses.fake_loss(mismatched))


def _with_r1(loss: Tensor, logits: Tensor, x: Tensor, config: LossConfig) -> Tensor:
    """Add the lazy R1 penalty where this iteration has one (`x` then requires a gradient)."""
    if not x.requires_grad:
        return loss
    return loss + 0.5 * config.r1 * config.r1_every * losses.r1_penalty(logits, x)


def _r1_now(config: LossConfig, iteration: int) -> bool:
    return config.r1 > 0 and iteration % config.r1_every == 0


def update_image_discriminator(
    fabric: Any, networks: Networks, optimizers: Optimizers, batch: Batch, fake: Generated, config: LossConfig, k: int
) -> Metrics:
    """Step 2, D_I: one Adam step on B*n real and generated (image, sentence, h_0) triples of iteration `k`.

    Returns:
        `D_I`, the loss L_image; `D_I_real` and `D_I_fake`, mean logits; `D_label` with a label head.
    """
    D_I, S = networks.D_I, batch.of_judged(batch.S)
    B, n = S.shape[:2]
    x = frames(batch.of_judged(batch.X)).requires_grad_(_r1_now(config, k))
    matched = conditions(S, fake.h_0)
    if config.mismatched:
        (real, wrong), labels = D_I(x, matched, conditions(other_story(fabric, S), other_story(fabric, fake.h_0)))
        mismatched = wrong.view(B, n)
    else:
        ((real,), labels), mismatched = D_I(x, matched), None
    (generated,), _ = D_I(frames(batch.of_judged(fake.X_hat.detach())), matched)
    L_image = batch.over_story(losses.real_loss(real.view(B, n)) + _fake_terms(generated.view(B, n), mismatched))
    loss = config.alpha * _with_r1(L_image, real, x, config)
    metrics = {"D_I": L_image.detach(), "D_I_real": real.detach().mean(), "D_I_fake": generated.detach().mean()}
    if labels is not None and batch.labels is not None:
        L_label = losses.label_loss(labels, batch.of_judged(batch.labels).flatten(0, 1))
        loss = loss + config.label * L_label
        metrics["D_label"] = L_label.detach()
    _step(fabric, optimizers.D_I, loss)
    return metrics


def update_story_discriminator(
    fabric: Any, networks: Networks, optimizers: Optimizers, batch: Batch, fake: Generated, config: LossConfig, k: int
) -> Metrics:
    """Step 2, D_S: one Adam step on B real and generated (sequence, story) pairs of iteration `k`.

    Returns:
        `D_S`, the loss L_story; `D_S_real` and `D_S_fake`, mean logits. Nothing where the variant has no D_S.
    """
    D_S = networks.D_S
    if D_S is None:
        return {}
    X = batch.X.detach().requires_grad_(_r1_now(config, k))
    if config.mismatched:
        real, wrong = D_S(X, batch.S, other_story(fabric, batch.S))
        mismatched = wrong[:, None]
    else:
        (real,), mismatched = D_S(X, batch.S), None
    (generated,) = D_S(fake.X_hat.detach(), batch.S)
    L_story = losses.real_loss(real[:, None]) + _fake_terms(generated[:, None], mismatched)
    _step(fabric, optimizers.D_S, config.beta * _with_r1(L_story, real, X, config))
    return {"D_S": L_story.detach(), "D_S_real": real.detach().mean(), "D_S_fake": generated.detach().mean()}


def update_generator(
    fabric: Any, networks: Networks, optimizers: Optimizers, batch: Batch, fake: Generated, config: LossConfig
) -> Metrics:
    """Step 3: one Adam step of story encoder, context encoder and image generator, both discriminators frozen.

    Returns:
        `KL` (nats), `squared_error`, and the generator's losses `G_image`, `G_story`, `G_label`, `teacher`, as far as
        the variant and the configuration have them. Without their weights.
    """
    S, (D_I, D_S) = batch.of_judged(batch.S), (networks.D_I, networks.D_S)
    L_KL = losses.kl_loss(fake.mu, fake.log_sigma2)
    error = losses.squared_error(fake.X_hat, batch.X)
    metrics = {"KL": L_KL.detach(), "squared_error": error.detach()}
    taught = config.teacher * _taught(batch, fake, metrics)
    with frozen(D_I), frozen(D_S):
        (logits,), labels = D_I(frames(batch.of_judged(fake.X_hat)), conditions(S, fake.h_0))
        L_image = batch.over_story(losses.generator_loss(logits.view(S.shape[:2]), config.saturating))
        loss = config.alpha * L_image + config.kl * L_KL + config.squared_error * error + taught
        metrics["G_image"] = L_image.detach()
        if D_S is not None:
            (story_logits,) = D_S(fake.X_hat, batch.S)
            L_story = losses.generator_loss(story_logits[:, None], config.saturating)
            loss = loss + config.beta * L_story
            metrics["G_story"] = L_story.detach()
        if labels is not None and batch.labels is not None:
            L_label = losses.label_loss(labels, batch.of_judged(batch.labels).flatten(0, 1))
            loss = loss + config.label * L_label
            metrics["G_label"] = L_label.detach()
        _step(fabric, optimizers.G, loss)
    return metrics


def warm_up_generator(
    fabric: Any, optimizers: Optimizers, batch: Batch, fake: Generated, config: WarmUpConfig
) -> Metrics:
    """Before the adversarial phase: one Adam step of the generator alone on `|X^ - X|^2 + kl * L_KL`, and the teacher's
    loss where there is one.

    Returns:
        `KL` (nats), `squared_error`, `teacher`. Without their weights, and each pixel once.
    """
    L_KL = losses.kl_loss(fake.mu, fake.log_sigma2)
    error = losses.squared_error(fake.X_hat, batch.X, batch.counts)
    metrics = {"KL": L_KL.detach(), "squared_error": losses.squared_error(fake.X_hat.detach(), batch.X)}
    _step(fabric, optimizers.G, error + config.kl * L_KL + config.teacher * _taught(batch, fake, metrics))
    return metrics


def _taught(batch: Batch, fake: Generated, metrics: Metrics) -> Tensor | float:
    """What the teacher says of the generated frames, and a metric of it; 0 where there is none."""
    if batch.lesson is None:
        return 0.0
    L_teacher = batch.lesson(fake.X_hat)
    metrics["teacher"] = L_teacher.detach()
    return L_teacher


def _step(fabric: Any, optimizer: Any, loss: Tensor) -> None:
    optimizer.zero_grad()
    fabric.backward(loss)
    optimizer.step()


@contextmanager
def frozen(network: nn.Module | None) -> Iterator[None]:
    """Gradients pass through `network` and nothing of it changes: no parameter, no running mean, no power iteration."""
    modules = [] if network is None else list(network.modules())
    parameters = [] if network is None else [p for p in network.parameters() if p.requires_grad]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    parametrizations = [m for m in modules if isinstance(m, nn.utils.parametrizations._SpectralNorm) and m.training]
    for parameter in parameters:
        parameter.requires_grad_(False)
    for norm in norms:
        norm.track_running_stats = False
    for parametrization in parametrizations:
        parametrization.eval()
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
        for parametrization in parametrizations:
            parametrization.train()
