"""The losses against closed forms."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from storygan import losses


def test_adversarial_losses_are_the_logarithms_of_the_formula() -> None:
    logits = torch.randn(6, 4, dtype=torch.float64)
    D = torch.sigmoid(logits)
    torch.testing.assert_close(losses.real_loss(logits), -D.log().sum(1).mean())
    torch.testing.assert_close(losses.fake_loss(logits), -(1 - D).log().sum(1).mean())
    torch.testing.assert_close(losses.generator_loss(logits, saturating=True), (1 - D).log().sum(1).mean())
    torch.testing.assert_close(losses.generator_loss(logits, saturating=False), -D.log().sum(1).mean())


def test_an_undecided_discriminator_pays_log_2_a_frame() -> None:
    assert losses.real_loss(torch.zeros(3, 4)).item() == pytest.approx(4 * 0.693147, rel=1e-5)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.full((2, 4), 1e4)
    assert losses.fake_loss(logits).item() == pytest.approx(4e4)
    assert losses.real_loss(logits).item() == 0


def test_kl_against_torch_distributions() -> None:
    mu, log_sigma2 = torch.randn(7, 128), torch.randn(7, 128)
    expected = kl_divergence(Normal(mu, (0.5 * log_sigma2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.kl_loss(mu, log_sigma2), expected)
    assert losses.kl_loss(torch.zeros(2, 128), torch.zeros(2, 128)).item() == 0


def test_squared_error_is_a_mean_over_everything() -> None:
    X = torch.randn(2, 4, 3, 8, 8)
    torch.testing.assert_close(losses.squared_error(X, X + 0.5), torch.tensor(0.25))
    counts = torch.ones(2, 4, 1, 8, 8)
    counts[0, 1, 0, 2] = 9  # 8 of 512 pixels
    torch.testing.assert_close(losses.squared_error(X, X + 0.5, counts), torch.tensor(0.25 * (1 + 8 * 8 / 512)))


def test_label_loss_sums_over_labels() -> None:
    assert losses.label_loss(torch.zeros(5, 15), torch.ones(5, 15)).item() == pytest.approx(15 * 0.693147, rel=1e-5)


def test_r1_of_a_linear_discriminator_is_its_squared_weight() -> None:
    w = torch.randn(12, dtype=torch.float64)
    x = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(losses.r1_penalty(x.flatten(1) @ w, x), w.square().sum())
