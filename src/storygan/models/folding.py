"""The same drawing with less arithmetic: batch norm folded into the layers before it. For models that only draw."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from storygan.models import accelerate as winograd
from storygan.models.image_generator import ImageGenerator, UpsampleConv, doubling_kernel

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def fuse_batch_norm(network: Network) -> Network:
    """A copy that only draws: without batch norm, with the kernels of `UpsampleConv` worked out. It cannot be trained.

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
                layers[k] = (FusedUpsampleConv if layer.out_channels > 3 else FusedToRGB)(layer)
    for generator in [module for module in folded.modules() if isinstance(module, ImageGenerator)]:
        first = generator[0]
        assert isinstance(first, nn.Sequential)
        assert isinstance(first[0], nn.Conv2d)
        first[0] = FusedConv(first[0])
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


class FusedConv(nn.Conv2d):
    """Conv3x3 of the same size, with its kernel's values at points worked out at the first use."""

    def __init__(self, layer: nn.Conv2d) -> None:
        w = layer.weight
        super().__init__(layer.in_channels, layer.out_channels, 3, padding=1, device=w.device, dtype=w.dtype)
        self.load_state_dict(layer.state_dict())
        self.requires_grad_(False)
        self.values = lru_cache(1)(winograd.transform_kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return winograd.conv2d(x, self.weight, 1, self.bias, self.values)


class FusedUpsampleConv(nn.ConvTranspose2d):
    """Upsample x2 + Conv3x3 with its 4x4 kernel worked out once, and the kernel's values likewise.

    `layer` has a bias: its own, or batch norm's.
    """

    def __init__(self, layer: UpsampleConv) -> None:
        w = layer.weight
        super().__init__(layer.in_channels, layer.out_channels, 4, 2, 1, device=w.device, dtype=w.dtype)
        self.load_state_dict({"weight": doubling_kernel(layer.weight), "bias": layer.bias})
        self.requires_grad_(False)
        self.values = lru_cache(2)(winograd.transform_kernel)  # of both tilings

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W)."""
        return winograd.conv_transpose2d(x, self.weight, self.bias, self.values)


class FusedToRGB(nn.Conv2d):
    """The same where the outputs are few, as colours are: one 2x2 convolution with four times as many.

    Odd rows and columns meet a window of 2x2 one further than even ones, so at (H + 1) x (W + 1) places all are met; an
    odd column's outputs come first, so that a row of places is a row of pixels, and one too many at either end. Outputs
    of zeros fill the processor's registers: 16 take two thirds of the time of 12.
    """

    def __init__(self, layer: UpsampleConv) -> None:
        w = layer.weight
        self.colours, outputs = layer.out_channels, 16
        super().__init__(layer.in_channels, outputs, 2, padding=1, device=w.device, dtype=w.dtype)
        taps = doubling_kernel(layer.weight).flip(2, 3).unflatten(3, (2, 2)).unflatten(2, (2, 2))
        assert layer.bias is not None
        weight, bias = taps.permute(3, 5, 1, 0, 2, 4).flip(1).flatten(0, 2), layer.bias.repeat(4)
        zeros = outputs - len(weight)
        self.load_state_dict({"weight": F.pad(weight, (0, 0) * 3 + (0, zeros)), "bias": F.pad(bias, (0, zeros))})
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, colours, 2H, 2W)."""
        even, odd = super().forward(x)[:, : 4 * self.colours].permute(0, 2, 3, 1).chunk(2, 3)
        rows = torch.stack([even[:, :-1], odd[:, 1:]], 2).flatten(1, 2)
        return rows.unflatten(3, (2, -1)).flatten(2, 3)[:, :, 1:-1].permute(0, 3, 1, 2)
