"""Faster equivalents of the models' layers, with the same parameters.

- `accelerate` replaces layers for training and inference. Upsample x2 and the convolution after it become one
  transposed convolution, small maps use the convolutions of `convolutions.py`, and D_I computes the image's part of its
  join once.
- `fuse_batch_norm` makes a copy for inference alone, without batch norm and with precomputed kernels.
- `tune_malloc` makes glibc keep freed memory.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from storygan.models.convolutions import conv2d, conv_transpose2d, transform_kernel
from storygan.models.discriminators import ImageDiscriminator
from storygan.models.image_generator import ImageGenerator

Network = TypeVar("Network", bound=nn.Module)


# ---- layers for training and inference: accelerate ----


class FastConv2d(nn.Conv2d):
    """Conv4x4 with stride 2, or Conv3x3 with stride 1, and padding 1: (N, inputs, H, W) -> (N, outputs, H', W')."""

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.stride[0], self.bias)


class UpsampleConv2d(nn.Conv2d):
    """Upsample x2 + Conv3x3 as one transposed convolution: (N, inputs, H, W) -> (N, outputs, 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, upsample_kernel(self.weight), self.bias)


def upsample_kernel(weight: Tensor) -> Tensor:
    """Compute the 4x4 kernel whose transposed convolution of stride 2 equals Upsample x2 (nearest) + Conv3x3.

    A 3x3 window over doubled pixels meets only 2x2 different ones, so that 9 products become 4: the kernel is the
    flipped 3x3 one, summed over every 2x2 shift.

    Args:
        weight: (outputs, inputs, 3, 3).

    Returns:
        (inputs, outputs, 4, 4), for `F.conv_transpose2d(stride=2, padding=1)`.
    """
    outputs, inputs, *_ = weight.shape
    taps = UPSAMPLE.to(weight) @ weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs)  # (outputs, 16, inputs)
    return taps.view(outputs, 4, 4, inputs).permute(3, 0, 1, 2)


UPSAMPLE_ROW = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
"""From the 3 taps of a row to the 4 of the transposed convolution."""
UPSAMPLE = torch.kron(UPSAMPLE_ROW, UPSAMPLE_ROW)


class SharedJoinDiscriminator(ImageDiscriminator):
    """D_I whose join computes the image's part once for all conditions, and a condition's part as a matrix product.

    A repeated condition gives the same output everywhere but at the border, where some of the 3x3 taps meet padding. So
    there are three kinds of rows and of columns: first, inner and last.
    """

    TAPS_INSIDE = ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 0.0))  # of the first, inner and last row or column

    def join_conditions(self, features: Tensor, conditions: Sequence[Tensor]) -> list[Tensor]:
        conv, rest = cast(nn.Conv2d, self.join[0]), self.join[1:]
        W_x, W_c = conv.weight.split([features.shape[1], conditions[0].shape[1]], dim=1)
        image = conv2d(features, W_x, 1, conv.bias)  # (N, 512, 4, 4)
        inside = W_c.new_tensor(self.TAPS_INSIDE)
        rows, columns = (torch.tensor([0] + [1] * (n - 2) + [2], device=image.device) for n in image.shape[2:])
        taps = torch.einsum("nc,oclm->nolm", torch.cat(list(conditions)), W_c)
        kinds = torch.einsum("nolm,rl,sm->nors", taps, inside, inside)
        parts = kinds.index_select(2, rows).index_select(3, columns).split(len(image))
        return [rest(image + part) for part in parts]


def accelerate(network: Network) -> Network:
    """Replace layers of a StoryGAN, ImageDiscriminator or StoryDiscriminator by faster equivalents, in place.

    Layers change their class alone: parameters, buffers, hooks and parametrizations stay, and so does `state_dict`.
    Outputs and gradients are equal up to rounding.

    Returns:
        The network.
    """
    for module in list(network.modules()):
        if isinstance(module, ImageDiscriminator):
            change_class(module, SharedJoinDiscriminator)
        elif isinstance(module, ImageGenerator):
            layers = [layer for layer in module.modules() if not isinstance(layer, nn.Sequential)]
            for layer, following in pairwise(layers):
                if isinstance(layer, nn.Upsample):
                    change_class(layer, nn.Identity)
                    change_class(following, UpsampleConv2d)
            change_class(layers[0], FastConv2d)
        elif isinstance(module, nn.Conv2d) and (module.kernel_size, module.stride, module.padding) == DOWNSAMPLE:
            change_class(module, FastConv2d)
    return network


DOWNSAMPLE = ((4, 4), (2, 2), (1, 1))
"""Kernel size, stride and padding of the discriminators' layers that become `FastConv2d`."""


def change_class(module: nn.Module, new: type[nn.Module]) -> None:
    """Change the class of a module, which keeps its attributes.

    A module under spectral norm has a class of its own, which computes the weight: it becomes a second base class.
    """
    parametrized = parametrize.is_parametrized(module)
    module.__class__ = type(new.__name__, (new, type(module)), {}) if parametrized else new


# ---- layers for inference alone: fuse_batch_norm ----


@torch.no_grad()
def fuse_batch_norm(network: Network) -> Network:
    """Copy a network for inference: accelerated, batch norm fused into the layer before it, kernels precomputed.

    Its outputs are those of `network` in evaluation mode, up to rounding. It cannot be trained, and not be saved: its
    `state_dict` has other names. A sentence encoder is shared, not copied.
    """
    encoder = getattr(network, "sentence_encoder", None)
    fused = accelerate(deepcopy(network, {id(encoder): encoder}).eval().requires_grad_(False))
    for layers in [module for module in fused.modules() if isinstance(module, nn.Sequential)]:
        for k, (layer, norm) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                layers[k], layers[k + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                layers[k], layers[k + 1] = fuse_linear_bn_eval(layer, norm), nn.Identity()
        for k, layer in enumerate(layers):
            if isinstance(layer, UpsampleConv2d):
                layers[k] = FusedToRGB(layer) if layer.out_channels == 3 else FusedUpsampleConv(layer)
    for generator in [module for module in fused.modules() if isinstance(module, ImageGenerator)]:
        generator[0][0] = FusedConv(generator[0][0])  # type: ignore[index, operator]
    return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


class FusedConv(nn.Conv2d):
    """Conv3x3 whose kernel is transformed at the first use: (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, layer: nn.Conv2d) -> None:
        w = layer.weight
        super().__init__(layer.in_channels, layer.out_channels, 3, padding=1, device=w.device, dtype=w.dtype)
        self.load_state_dict(layer.state_dict())
        self.requires_grad_(False)
        self.cached = lru_cache(1)(transform_kernel)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, 1, self.bias, self.cached)


class FusedUpsampleConv(nn.ConvTranspose2d):
    """`UpsampleConv2d` with its 4x4 kernel precomputed, and transformed at the first use.

    Args:
        layer: has a bias: its own, or batch norm's.
    """

    def __init__(self, layer: UpsampleConv2d) -> None:
        w = layer.weight
        super().__init__(layer.in_channels, layer.out_channels, 4, 2, 1, device=w.device, dtype=w.dtype)
        self.load_state_dict({"weight": upsample_kernel(layer.weight), "bias": layer.bias})
        self.requires_grad_(False)
        self.cached = lru_cache(2)(transform_kernel)  # for both sizes of tiles

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return conv_transpose2d(x, self.weight, self.bias, self.cached)


class FusedToRGB(nn.Conv2d):
    """`UpsampleConv2d` with 3 outputs, as one 2x2 convolution with four times as many: (N, C, H, W) -> (N, 3, 2H, 2W).

    The 2x2 window of odd rows and columns lies one further than that of even ones, so a convolution at the (H + 1) x
    (W + 1) positions computes them all. Odd columns come first among the outputs, so that a row of positions is a row
    of pixels with one too many at either end. Four outputs of zeros fill the registers: 16 outputs take two thirds of
    the time of 12.
    """

    def __init__(self, layer: UpsampleConv2d) -> None:
        w, outputs = layer.weight, 16
        super().__init__(layer.in_channels, outputs, 2, padding=1, device=w.device, dtype=w.dtype)
        taps = upsample_kernel(layer.weight).flip(2, 3).unflatten(3, (2, 2)).unflatten(2, (2, 2))
        assert layer.bias is not None
        weight, bias = taps.permute(3, 5, 1, 0, 2, 4).flip(1).flatten(0, 2), layer.bias.repeat(4)
        zeros = outputs - len(weight)
        self.load_state_dict({"weight": F.pad(weight, (0, 0) * 3 + (0, zeros)), "bias": F.pad(bias, (0, zeros))})
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = super().forward(x)[:, :12].permute(0, 2, 3, 1).chunk(2, 3)
        rows = torch.stack([even[:, :-1], odd[:, 1:]], 2).flatten(1, 2)
        return rows.unflatten(3, (2, -1)).flatten(2, 3)[:, :, 1:-1].permute(0, 3, 1, 2)


# ---- memory ----

MALLOC_SETTINGS = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
MAX_THRESHOLD, MAX_THRESHOLD_BEFORE_GLIBC_2_35 = 1 << 30, 1 << 25


def tune_malloc() -> bool:
    """Make glibc keep freed memory for the next layer: asking the kernel for it takes up to a quarter of inference.

    The setting holds for the whole process, so commands call this and library functions do not.

    Returns:
        Whether the setting was made: not where the environment has its own (`MALLOC_SETTINGS`), nor off Linux.
    """
    if sys.platform != "linux" or any(name in os.environ for name in MALLOC_SETTINGS):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    larger = any(mallopt(M_MMAP_THRESHOLD, most) for most in (MAX_THRESHOLD, MAX_THRESHOLD_BEFORE_GLIBC_2_35))
    return bool(larger and mallopt(M_TRIM_THRESHOLD, MAX_THRESHOLD))
