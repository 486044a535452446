"""The convolutions with fewer products against torch's: values, gradients, and gradients of gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.models import winograd

N = 16
Convolution = Callable[[Tensor, Tensor], Tensor]


def conv3x3(x: Tensor, w: Tensor) -> Tensor:
    return winograd.conv2d(x, w, stride=1)


def conv4x4(x: Tensor, w: Tensor) -> Tensor:
    return winograd.conv2d(x, w, stride=2)


def plain_conv3x3(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x, w, padding=1)


def plain_conv4x4(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x, w, stride=2, padding=1)


def plain_transposed(x: Tensor, w: Tensor) -> Tensor:
    return F.conv_transpose2d(x, w, stride=2, padding=1)


# fast, plain, taps, sides of the input: those of the networks, and others
CASES = [
    pytest.param(conv3x3, plain_conv3x3, 3, (4, 8, 5), id="conv3x3"),
    pytest.param(conv4x4, plain_conv4x4, 4, (8, 16, 32, 7), id="conv4x4"),
    pytest.param(winograd.conv_transpose2d, plain_transposed, 4, (4, 8, 16), id="transposed"),
]


def inputs(taps: int, side: int, channels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A map and a kernel, channels_last as in training."""
    torch.manual_seed(side)
    x, w = torch.randn(N, channels, side, side, dtype=dtype), torch.randn(channels, channels, taps, taps, dtype=dtype)
    x, w = (part.contiguous(memory_format=torch.channels_last) for part in (x, w))
    return x.requires_grad_(), w.requires_grad_()


def derivatives(f: Convolution, x: Tensor, w: Tensor) -> list[Tensor]:
    """Values, gradients, and those of a penalty on the gradient at x (R1)."""
    y = f(x, w)
    loss = (y.square() * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    by_x, by_w = torch.autograd.grad(loss, (x, w), create_graph=True)
    penalty = by_x.square().sum()
    return [y, by_x, by_w, *torch.autograd.grad(penalty, (x, w))]


@pytest.mark.parametrize(("fast", "plain", "taps", "sides"), CASES)
def test_the_same_function(fast: Convolution, plain: Convolution, taps: int, sides: tuple[int, ...]) -> None:
    for side in sides:
        x, w = inputs(taps, side, 3, torch.float64)
        torch.testing.assert_close(derivatives(fast, x, w), derivatives(plain, x, w))


@pytest.mark.parametrize(("fast", "plain", "taps", "sides"), CASES)
def test_float32_rounds_no_worse_than_one_in_100_000(
    fast: Convolution, plain: Convolution, taps: int, sides: tuple[int, ...]
) -> None:
    for side in sides[:2]:
        x, w = inputs(taps, side, 32, torch.float32)
        exact = derivatives(plain, *(part.detach().double().requires_grad_() for part in (x, w)))
        for found, expected in zip(derivatives(fast, x, w), exact, strict=True):
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("taps", "stride", "side"), [(3, 1, 4), (3, 1, 8), (4, 2, 8), (4, 2, 16)])
def test_fewer_products(taps: int, stride: int, side: int) -> None:
    """9 for 16, 25 for 64, 16 for 36."""
    tiling = winograd.tiling(side // stride, stride, torch.float32)
    assert len(tiling.A) / (tiling.m * taps / stride) ** 2 < 0.6
    x, _ = inputs(taps, side, 3, torch.float32)
    assert winograd.pays(x, side // stride)
    assert not winograd.pays(x[:8], side // stride)
