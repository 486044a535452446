"""The losses, as pure functions of logits, moments and images. D = sigmoid(logit).

The objective is `min_theta max_psi  alpha * L_image + beta * L_story + L_KL` (paper, section 3.4). Discriminator losses
are negated, so that they are minimized. Frame logits are (B, T), story logits (B, 1). Losses are summed over the second
axis, the sum over t in L_image, and averaged over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.config import GANLoss


def sum_over_frames(terms: Tensor) -> Tensor:
    """Sum terms (B, T) or (B, 1) over the frames and average over the stories: scalar."""
    return terms.sum(1).mean()


def real_loss(logits: Tensor) -> Tensor:
    """Compute `-log D(x)` of logits (B, T), the loss of the label "real": scalar >= 0."""
    return sum_over_frames(F.softplus(-logits))


def fake_loss(logits: Tensor) -> Tensor:
    """Compute `-log(1 - D(x^))` of logits (B, T), the loss of the label "fake": scalar >= 0."""
    return sum_over_frames(F.softplus(logits))


def discriminator_loss(gan_loss: GANLoss, real: Tensor, *fake: Tensor) -> Tensor:
    """Compute a discriminator's loss, L_image or L_story.

    Several kinds of fake pairs share the weight of one (Reed et al., 2016, algorithm 1).

    Args:
        gan_loss: `relativistic`: `softplus(-(D(x) - D(x^)))` of logits (Jolicoeur-Martineau, 2019); others: as above.
        real: (B, T) logits of real pairs.
        fake: (B, T) logits of fake pairs, one tensor per kind.

    Returns:
        Scalar >= 0.
    """
    if gan_loss == "relativistic":
        return torch.stack([real_loss(real - one) for one in fake]).mean()
    return real_loss(real) + torch.stack([fake_loss(one) for one in fake]).mean()


def generator_loss(gan_loss: GANLoss, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """Compute the generator's loss, L_image or L_story.

    Args:
        gan_loss: `saturating`: `log(1 - D(x^))`, the formula as written. `non-saturating`: `-log D(x^)` (Goodfellow et
            al., 2014, section 3). `relativistic`: `softplus(-(D(x^) - D(x)))` of logits.
        fake: (B, T) logits of generated pairs.
        real: (B, T) logits of real pairs, for `relativistic`.

    Returns:
        Scalar.
    """
    if gan_loss == "relativistic":
        assert real is not None
        return real_loss(fake - real)
    return -fake_loss(fake) if gan_loss == "saturating" else real_loss(fake)


def kl_loss(mu: Tensor, log_sigma2: Tensor) -> Tensor:
    """Compute L_KL, `KL(N(mu, sigma^2) || N(0, I))`, in closed form (paper, section 3.1).

    Args:
        mu: (B, 128).
        log_sigma2: (B, 128).

    Returns:
        Scalar >= 0, in nats: summed over the 128 values, averaged over the batch.
    """
    return 0.5 * (mu.square() + log_sigma2.exp() - 1 - log_sigma2).sum(1).mean()


def mse(X_hat: Tensor, X: Tensor, weight: Tensor | None = None) -> Tensor:
    """Compute the mean squared error of images: scalar >= 0.

    Args:
        X_hat: images in [-1, 1], any shape.
        X: images of the same shape.
        weight: weight of each pixel, broadcast to this shape; None: 1.
    """
    errors = (X_hat - X).square()
    return (errors if weight is None else weight * errors).mean()


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the multi-label cross-entropy of logits (N, K) and labels in {0, 1}, averaged over both: scalar >= 0."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """Compute `|grad_x D(x)|^2`, without the factor gamma/2 (Mescheder et al., 2018, equation 9).

    Args:
        logits: any shape, computed from `x`.
        x: (N, ...) images that require a gradient: real ones for R1, generated ones for R2.

    Returns:
        Scalar >= 0 with a graph: summed over each image or sequence, averaged over N.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
