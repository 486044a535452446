"""The losses, as pure functions of logits, moments and images. D = sigmoid(logit).

The game is `min_theta max_psi  alpha * L_image + beta * L_story + L_KL` (paper, equation 7). What a discriminator
maximises is written here as the negative that it minimises. Frame logits are (B, T), story logits (B, 1): the sum over
t of L_image is the sum over the second axis; the batch is averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.config import GANLoss


def sum_over_frames(terms: Tensor) -> Tensor:
    """(B, T) or (B, 1) terms -> scalar: summed over the frames, averaged over the stories."""
    return terms.sum(1).mean()


def real_loss(logits: Tensor) -> Tensor:
    """`-log D(x)`, for what the discriminator should take for real: (B, T) -> scalar >= 0."""
    return sum_over_frames(F.softplus(-logits))


def fake_loss(logits: Tensor) -> Tensor:
    """`-log(1 - D(x^))`, for what the discriminator should take for fake: (B, T) -> scalar >= 0."""
    return sum_over_frames(F.softplus(logits))


def discriminator_loss(gan_loss: GANLoss, real: Tensor, *fake: Tensor) -> Tensor:
    """A discriminator's part of L_image or L_story: logits (B, T) of real and of fake pairs -> scalar >= 0.

    Several kinds of fake pairs share the weight of one (Reed et al., 2016, algorithm 1). `relativistic`:
    `softplus(-(D(x) - D(x^)))` (Jolicoeur-Martineau, 2019).
    """
    if gan_loss == "relativistic":
        return torch.stack([real_loss(real - one) for one in fake]).mean()
    return real_loss(real) + torch.stack([fake_loss(one) for one in fake]).mean()


def generator_loss(gan_loss: GANLoss, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """The generator's part of L_image or L_story: logits (B, T) of generated pairs -> scalar.

    `saturating`: `log(1 - D(x^))`, the formula as written; `non-saturating`: `-log D(x^)` (Goodfellow et al., 2014,
    section 3); `relativistic`: `softplus(-(D(x^) - D(x)))`, with the logits `real`.
    """
    if gan_loss == "relativistic":
        assert real is not None
        return real_loss(fake - real)
    return -fake_loss(fake) if gan_loss == "saturating" else real_loss(fake)


def kl_loss(mu: Tensor, log_sigma2: Tensor) -> Tensor:
    """L_KL, `KL(N(mu, sigma^2) || N(0, I))` in closed form (paper, equation 8).

    Args:
        mu: (B, 128).
        log_sigma2: (B, 128).

    Returns:
        Scalar >= 0, in nats: summed over the 128 values, averaged over the batch.
    """
    return 0.5 * (mu.square() + log_sigma2.exp() - 1 - log_sigma2).sum(1).mean()


def mse(X_hat: Tensor, X: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error of images in [-1, 1], any equal shapes -> scalar >= 0.

    Args:
        weight: of each pixel, of a shape that broadcasts to theirs; None: 1.
    """
    errors = (X_hat - X).square()
    return (errors if weight is None else weight * errors).mean()


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Multi-label cross-entropy: (N, K) logits and {0, 1} labels -> scalar, averaged over labels and frames."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """`|grad_x D(x)|^2` on real data, gamma/2 left to the caller (Mescheder et al., 2018, equation 9).

    Args:
        logits: any shape, computed from `x`.
        x: (N, ...) real images that require a gradient.

    Returns:
        Scalar >= 0 with a graph: summed over each image or sequence, averaged over N.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
