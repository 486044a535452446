"""The losses, values and gradients, against the formulas written out term by term in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from storygan import losses

B, T = 5, 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def D(logit: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-logit))


def check(loss: Callable[..., Tensor], formula: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Compare the values, and the gradients for the inputs."""
    value, expected = loss(*inputs), formula(*inputs)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, inputs), torch.autograd.grad(expected, inputs))


def per_story(term: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Sum over the frames of a story, and average over the stories."""
    return lambda logits: sum(term(logit) for story in logits for logit in story) / len(logits)


@pytest.mark.parametrize("shape", [(B, T), (B, 1)], ids=["frames", "stories"])
def test_adversarial_losses(shape: tuple[int, int]) -> None:
    logits = random(*shape)
    check(losses.real_loss, per_story(lambda logit: -torch.log(D(logit))), logits)
    check(losses.fake_loss, per_story(lambda logit: -torch.log(1 - D(logit))), logits)
    saturating, other = (lambda logits, s=s: losses.generator_loss(s, logits) for s in ("saturating", "non-saturating"))
    check(saturating, per_story(lambda logit: torch.log(1 - D(logit))), logits)
    check(other, per_story(lambda logit: -torch.log(D(logit))), logits)


def test_relativistic_losses() -> None:
    """A real and a generated logit compare: D learns that the first is above, the generator that the second is."""

    def formula(one: Tensor, other: Tensor) -> Tensor:
        return -torch.log(D(one - other)).sum() / len(one)

    real, fake = random(B, T), random(B, T)
    check(lambda real, fake: losses.discriminator_loss("relativistic", real, fake), formula, real, fake)
    check(lambda fake, real: losses.generator_loss("relativistic", fake, real), formula, fake, real)


def test_several_kinds_of_fake_pairs_share_the_weight_of_one() -> None:
    real, fake, wrong = random(B, T), random(B, T), random(B, T)
    for gan_loss in ("non-saturating", "relativistic"):
        each = [losses.discriminator_loss(gan_loss, real, one) for one in (fake, wrong)]  # type: ignore[arg-type]
        both = losses.discriminator_loss(gan_loss, real, fake, wrong)  # type: ignore[arg-type]
        torch.testing.assert_close(both, sum(each) / 2)


def test_which_way_the_adversarial_losses_push() -> None:
    """A descent raises the logits of what is real, lowers those of what is fake, and raises them for the generator."""
    logits = random(B, T)
    assert (torch.autograd.grad(losses.real_loss(logits), logits)[0] < 0).all()
    assert (torch.autograd.grad(losses.fake_loss(logits), logits)[0] > 0).all()
    for gan_loss in ("saturating", "non-saturating"):
        assert (torch.autograd.grad(losses.generator_loss(gan_loss, logits), logits)[0] < 0).all()


def test_extreme_logits_stay_finite() -> None:
    logits = torch.full((2, 4), 1e4)
    assert losses.fake_loss(logits).item() == pytest.approx(4e4)
    assert losses.real_loss(logits).item() == 0


def test_kl_is_zero_at_the_prior_and_the_closed_form_elsewhere() -> None:
    def formula(mu: Tensor, log_sigma2: Tensor) -> Tensor:
        """`-log sigma + (sigma^2 + mu^2) / 2 - 1 / 2` for each value."""
        sigma = torch.exp(log_sigma2 / 2)
        return (-torch.log(sigma) + (sigma**2 + mu**2) / 2 - 1 / 2).sum() / len(mu)

    check(losses.kl_loss, formula, random(B, 128), random(B, 128))
    assert losses.kl_loss(torch.zeros(2, 128), torch.zeros(2, 128)).item() == 0


def test_mse_is_a_mean_over_everything() -> None:
    X_hat, X, weight = random(2, T, 3, 4, 4), random(2, T, 3, 4, 4), torch.rand(2, T, 1, 4, 4, dtype=torch.float64)
    number = 2 * T * 3 * 4 * 4
    check(losses.mse, lambda X_hat, X: ((X_hat - X) ** 2).sum() / number, X_hat, X)

    def weighted(X_hat: Tensor, X: Tensor) -> Tensor:
        return sum((weight[:, :, 0] * (X_hat[:, :, c] - X[:, :, c]) ** 2).sum() for c in range(3)) / number

    check(lambda X_hat, X: losses.mse(X_hat, X, weight), weighted, X_hat, X)


def test_label_loss_is_a_mean_over_labels_and_frames() -> None:
    labels = torch.randint(2, (B, 15), dtype=torch.float64)

    def formula(logits: Tensor) -> Tensor:
        terms = [
            -torch.log(D(logits[n, k])) if labels[n, k] else -torch.log(1 - D(logits[n, k]))
            for n in range(B)
            for k in range(15)
        ]
        return sum(terms) / (15 * B)

    check(lambda logits: losses.label_loss(logits, labels), formula, random(B, 15))


def test_r1_of_a_linear_discriminator_is_its_squared_weight() -> None:
    x, w = random(B, 3, 4), random(12)
    check(lambda w: losses.gradient_penalty(x.flatten(1) @ w, x), lambda w: (w**2).sum(), w)


def test_r1_of_a_cubic_discriminator() -> None:
    """`D(x) = a sum x^3` has the gradient `3 a x^2`: 9 a^2 x^4, summed over an image, averaged over images."""
    x, a = random(B, T, 3, 2, 2), random()
    loss = lambda x, a: losses.gradient_penalty(a * (x**3).sum((2, 3, 4)), x)  # noqa: E731  # logits (B, T)
    check(loss, lambda x, a: 9 * a**2 * (x**4).sum() / B, x, a)
