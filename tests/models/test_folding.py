"""The folded generator: the same function, without batch norm, and nothing of the original changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from storygan.config import VARIANTS, ModelConfig, Variant
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.image_generator import UpsampleConv
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN


def trained(variant: Variant) -> StoryGAN:
    """A generator whose running statistics and affine parameters are not those it starts with."""
    torch.manual_seed(0)
    G = StoryGAN(ModelConfig(variant, noise_dim=5))
    for module in G.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return G


@pytest.mark.parametrize("stories", [3, 5, 9])  # 12 frames are convolved directly, 20 with fewer products, 36 fewest
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_function_without_batch_norm(variant: Variant, stories: int) -> None:
    G = trained(variant)
    S, noise = torch.randn(stories, 4, 128), Noise.sample(stories, G.config, torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in G.state_dict().items()}
    F = fuse_batch_norm(G)
    with torch.no_grad():
        found, again, expected = F(S, noise), F(S, noise), G.eval()(S, noise)
    for a, remembered, b in zip(found, again, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        assert torch.equal(a, remembered)
    assert expected[0].std() > 0.01
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | UpsampleConv) for m in F.modules())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_of_the_type_that_the_weights_have() -> None:
    G = trained("storygan").double()
    S = torch.randn(1, 4, 128, dtype=torch.float64)
    noise = Noise(*(torch.randn(shape, dtype=torch.float64) for shape in ((1, 128), (1, 4, 5), (1, 128))))
    drawn = fuse_batch_norm(G)(S, noise)
    assert drawn[0].dtype == torch.float64


def test_the_original_stays_in_its_mode() -> None:
    G = trained("storygan").train()
    G.sample(torch.randn(1, 4, 128), Noise.sample(1, G.config, torch.Generator().manual_seed(1)))
    assert G.training
    assert all(m.training for m in G.modules())


def test_the_sentence_encoder_is_shared() -> None:
    G = StoryGAN.from_pretrained("clevr-sv")
    assert fuse_batch_norm(G).sentence_encoder is G.sentence_encoder
