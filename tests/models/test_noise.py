"""The noise of a story: its two distributions, and nuisance values in its place."""

import pytest
import torch

from storygan.config import ModelConfig
from storygan.errors import UsageError
from storygan.models.noise import Noise, on_circle, seeded

CIRCLE = ModelConfig(noise_dim=4, noise="circle")


def test_pairs_on_a_circle_keep_their_directions() -> None:
    normal = Noise.sample(50, ModelConfig(noise_dim=4), seeded(3))
    round_ = Noise.sample(50, CIRCLE, seeded(3))
    pairs, before = round_.eps.unflatten(-1, (2, 2)), normal.eps.unflatten(-1, (2, 2))
    torch.testing.assert_close(pairs.norm(dim=-1), torch.full((50, 4, 2), 2**0.5))
    angles = (torch.atan2(each[..., 1], each[..., 0]) for each in (pairs, before))
    torch.testing.assert_close(*angles)
    assert torch.equal(round_.eps_0, normal.eps_0)
    assert torch.equal(round_.g_0, normal.g_0)


def test_values_on_a_circle_have_mean_0_variance_1_and_no_correlation() -> None:
    eps = on_circle(torch.randn(40_000, 4, generator=seeded(0)))
    torch.testing.assert_close(eps.T.cov(), torch.eye(4), atol=0.03, rtol=0)
    torch.testing.assert_close(eps.mean(0), torch.zeros(4), atol=0.03, rtol=0)


def test_the_noise_of_a_story_does_not_depend_on_later_stories() -> None:
    one, more = Noise.sample(1, CIRCLE, seeded(1)), Noise.sample(3, CIRCLE, seeded(1))
    for name, part in vars(one).items():
        assert torch.equal(part, getattr(more, name)[:1])


def test_an_odd_last_value_stays_normal() -> None:
    eps = torch.randn(50, 4, 5, generator=seeded(0))
    assert torch.equal(on_circle(eps)[..., 4], eps[..., 4])
    assert torch.equal(on_circle(eps)[..., :4], on_circle(eps[..., :4]))
    assert torch.equal(on_circle(eps[..., :1]), eps[..., :1])


def test_an_unknown_distribution_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown noise 'pink': choose one of normal, circle"):
        ModelConfig(noise="pink")  # type: ignore[arg-type]
