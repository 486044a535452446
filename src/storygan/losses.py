"""The losses, as pure functions of logits, moments and images. D = sigmoid(logit).

The game is `min_theta max_psi  alpha * L_image + beta * L_story + L_KL` (paper, equation 7). What a discriminator
maximises is written here as the negative that it minimises. Frame logits are (B, T), story logits (B, 1): the sum over
t of L_image is the sum over the second axis; the batch is averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _over_story(terms: Tensor) -> Tensor:
    """(B, T) or (B, 1) terms -> scalar: summed over the frames, averaged over the stories."""
    return terms.sum(1).mean()


def real_loss(logits: Tensor) -> Tensor:
    """`-log D(x)`, for what the discriminator should take for real: (B, T) -> scalar >= 0."""
    return _over_story(F.softplus(-logits))


def fake_loss(logits: Tensor) -> Tensor:
    """`-log(1 - D(x^))`, for what the discriminator should take for fake: (B, T) -> scalar >= 0."""
    return _over_story(F.softplus(logits))


def generator_loss(logits: Tensor, saturating: bool) -> Tensor:
    """The generator's part of L_image or L_story: (B, T) -> scalar.

    `log(1 - D(x^))` as the formula is written if `saturating`, else `-log D(x^)` (Goodfellow et al., 2014, section 3).
    """
    return -fake_loss(logits) if saturating else real_loss(logits)


def kl_loss(mu: Tensor, log_sigma2: Tensor) -> Tensor:
    """L_KL, `KL(N(mu, sigma^2) || N(0, I))` in closed form (paper, equation 8).

    Args:
        mu: (B, 128).
        log_sigma2: (B, 128).

    Returns:
        Scalar >= 0, in nats: summed over the 128 values, averaged over the batch.
    """
    return 0.5 * (mu.square() + log_sigma2.exp() - 1 - log_sigma2).sum(1).mean()


def squared_error(X_hat: Tensor, X: Tensor, counts: Tensor | None = None) -> Tensor:
    """Mean squared error of images in [-1, 1], any equal shapes -> scalar in [0, 4]; that of a value taken as often as
    `counts` says, of a shape that broadcasts to theirs."""
    errors = (X_hat - X).square()
    return (errors if counts is None else counts * errors).mean()


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Multi-label cross-entropy: (N, K) logits and {0, 1} labels -> scalar, summed over K, averaged over N frames."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(1).mean()


def r1_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """`|grad_x D(x)|^2` on real data, gamma/2 left to the caller (Mescheder et al., 2018, equation 9).

    Args:
        logits: any shape, computed from `x`.
        x: (N, ...) real images that require a gradient.

    Returns:
        Scalar >= 0 with a graph: summed over each image or sequence, averaged over N.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
