"""The same drawing with less arithmetic: batch norm folded into the layers before it. For models that only draw."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from storygan.models import winograd
from storygan.models.image_generator import UpsampleConv, doubling_kernel

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def fold(network: Network) -> Network:
    """A copy in evaluation mode, without batch norm and with plain transposed convolutions. It cannot be trained.

    Draws what `network` draws in evaluation mode, to float32 rounding. The sentence encoder, where there is one, is
    shared. Its `state_dict` has other names, so it is not for saving.
    """
    encoder = getattr(network, "sentence_encoder", None)
    folded = deepcopy(network, {id(encoder): encoder}).eval().requires_grad_(False)
    for layers in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for k, (layer, norm) in enumerate(zip(layers, list(layers)[1:], strict=False)):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                layers[k], layers[k + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                layers[k], layers[k + 1] = fuse_linear_bn_eval(layer, norm), nn.Identity()
        for k, layer in enumerate(layers):
            if isinstance(layer, UpsampleConv):
                layers[k] = plain(layer)
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


class FoldedUpsampleConv(nn.ConvTranspose2d):
    """Upsample x2 + Conv3x3 with its 4x4 kernel worked out once, and the kernel's values at points at the first use."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)
        self.values = lru_cache(1)(winograd.at_points)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W)."""
        return winograd.conv_transpose2d(x, self.weight, self.bias, self.values)


def plain(layer: UpsampleConv) -> FoldedUpsampleConv:
    """The same layer with its kernel worked out. It has a bias: its own, or batch norm's."""
    same = FoldedUpsampleConv(layer.in_channels, layer.out_channels)
    same.weight.copy_(doubling_kernel(layer.weight))
    assert same.bias is not None
    assert layer.bias is not None
    same.bias.copy_(layer.bias)
    return same.requires_grad_(False)
