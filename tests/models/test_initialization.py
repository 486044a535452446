"""The initial weights: DCGAN's, PyTorch's defaults, and He's without norm layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from storygan.config import DiscriminatorConfig
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.initialization import INITIALIZERS


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(400, 300), nn.BatchNorm1d(300), nn.GRUCell(300, 200), nn.Conv2d(40, 50, 3))


def test_dcgan(network: nn.Sequential) -> None:
    linear, norm, gru, convolution = network
    INITIALIZERS["dcgan"](network)
    for weight in (linear.weight, gru.weight_ih, gru.weight_hh, convolution.weight):
        assert weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert norm.weight.mean().item() == pytest.approx(1, abs=5e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for bias in (linear.bias, norm.bias, gru.bias_ih, gru.bias_hh, convolution.bias):
        assert bias.abs().max().item() == 0


def test_pytorch(network: nn.Sequential) -> None:
    """Uniform within one over the root of a layer's inputs (of a GRU: of its state), as its own constructor has it."""
    linear, norm, gru, convolution = network
    INITIALIZERS["dcgan"](network)
    INITIALIZERS["pytorch"](network)
    for weight, inputs in (
        (linear.weight, 400),
        (gru.weight_ih, 200),
        (gru.weight_hh, 200),
        (convolution.weight, 40 * 9),
    ):
        assert weight.abs().max().item() == pytest.approx(inputs**-0.5, rel=1e-3)
        assert weight.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.02)
    assert norm.weight.unique().tolist() == [1]
    assert norm.bias.unique().tolist() == [0]


def test_dcgan_reaches_the_weights_under_spectral_norm() -> None:
    D_I = ImageDiscriminator(DiscriminatorConfig(spectral_norm=True))
    INITIALIZERS["dcgan"](D_I)
    originals = [p for name, p in D_I.named_parameters() if name.endswith("weight.original")]
    assert len(originals) == 6
    for weight in originals:
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert abs(weight.mean().item()) < 0.002


def test_he_without_norm_layers() -> None:
    """Weights have a standard deviation of gain / sqrt(fan_in), with LeakyReLU's gain before a LeakyReLU."""
    torch.manual_seed(0)
    config = DiscriminatorConfig(norm="none")
    D_I, D_S = ImageDiscriminator(config), StoryDiscriminator(4, config)
    gain = (2 / (1 + 0.2**2)) ** 0.5
    for layer, expected in (
        (D_I.features[2][0], gain),
        (D_I.join[0], gain),
        (D_I.out, 1),
        (D_S.image_encoder[1], 1),
        (D_S.text_encoder[1], 1),
        (D_S.w, 1),
    ):
        fan_in = layer.weight[0].numel()
        assert layer.weight.std().item() * fan_in**0.5 == pytest.approx(expected, rel=0.06)
        assert layer.bias is None or layer.bias.abs().max() == 0
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for D in (D_I, D_S) for module in D.modules())
