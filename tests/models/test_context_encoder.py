"""The filter bank against `conv1d`, and gradients for the whole generator. The equations are in test_reference.py."""

import torch
from torch.nn import functional as F

from storygan.config import VARIANTS, ModelConfig
from storygan.models.context_encoder import gist
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

B, T = 5, 4


def same_conv1d(h: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """`F.conv1d(padding="same")`, whose 31 + 32 zeros are written out: torch warns about them. -> (128, 16)."""
    return F.conv1d(F.pad(h.view(1, 1, 128), (31, 32)), filters.view(16, 1, 64))[0].T


def test_gist_against_conv1d_story_by_story() -> None:
    filters, h = torch.randn(B, 16, 64), torch.randn(B, 128)
    for n in range(B):
        expected = same_conv1d(h[n], filters[n])
        torch.testing.assert_close(gist(filters, h)[n].flatten(1), expected, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter_of_the_generator() -> None:
    for variant in VARIANTS:
        config = ModelConfig(variant=variant)
        model = StoryGAN(config)
        noise = Noise.sample(B, config, torch.Generator().manual_seed(0))
        X_hat, *_ = model(torch.randn(B, T, 128), noise)
        (X_hat * torch.randn_like(X_hat)).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, (variant, name)
            assert parameter.grad.abs().max() > 0, (variant, name)
