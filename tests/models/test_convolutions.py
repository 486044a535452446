"""Convolutions against PyTorch's: outputs, gradients, and gradients of gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.models import convolutions as fast

N = 16
Convolution = Callable[[Tensor, Tensor], Tensor]


# ---- Winograd convolutions ----


def conv3x3(x: Tensor, w: Tensor) -> Tensor:
    return fast.conv2d(x, w, stride=1)


def conv4x4(x: Tensor, w: Tensor) -> Tensor:
    return fast.conv2d(x, w, stride=2)


def plain_conv3x3(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x, w, padding=1)


def plain_conv4x4(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x, w, stride=2, padding=1)


def plain_transposed(x: Tensor, w: Tensor) -> Tensor:
    return F.conv_transpose2d(x, w, stride=2, padding=1)


def cached_conv3x3(x: Tensor, w: Tensor) -> Tensor:
    """Twice as many maps are enough for the tiles for inference."""
    return fast.conv2d(torch.cat([x, -x]), w, stride=1, cached=fast.transform_kernel)[: len(x)]


def cached_transposed(x: Tensor, w: Tensor) -> Tensor:
    return fast.conv_transpose2d(torch.cat([x, -x]), w, cached=fast.transform_kernel)[: len(x)]


# fast, plain, taps, sides of the input: those of the networks, and others
CASES = [
    pytest.param(conv3x3, plain_conv3x3, 3, (4, 8, 5), id="conv3x3"),
    pytest.param(conv4x4, plain_conv4x4, 4, (8, 16, 32, 7), id="conv4x4"),
    pytest.param(fast.conv_transpose2d, plain_transposed, 4, (4, 8, 16), id="transposed"),
    pytest.param(cached_conv3x3, plain_conv3x3, 3, (4, 8), id="cached conv3x3"),
    pytest.param(cached_transposed, plain_transposed, 4, (4, 8), id="cached transposed"),
]


def inputs(taps: int, side: int, channels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a map and a kernel, channels_last as in training."""
    torch.manual_seed(side)
    x, w = torch.randn(N, channels, side, side, dtype=dtype), torch.randn(channels, channels, taps, taps, dtype=dtype)
    x, w = (part.contiguous(memory_format=torch.channels_last) for part in (x, w))
    return x.requires_grad_(), w.requires_grad_()


def derivatives(f: Convolution, x: Tensor, w: Tensor) -> list[Tensor]:
    """Return the output, gradients, and gradients of a penalty on the gradient at x (R1)."""
    y = f(x, w)
    loss = (y.square() * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    by_x, by_w = torch.autograd.grad(loss, (x, w), create_graph=True)
    penalty = by_x.square().sum()
    return [y, by_x, by_w, *torch.autograd.grad(penalty, (x, w))]


@pytest.mark.parametrize(("fast_conv", "plain_conv", "taps", "sides"), CASES)
def test_convolution_equals_torch(
    fast_conv: Convolution, plain_conv: Convolution, taps: int, sides: tuple[int, ...]
) -> None:
    for side in sides:
        x, w = inputs(taps, side, 3, torch.float64)
        torch.testing.assert_close(derivatives(fast_conv, x, w), derivatives(plain_conv, x, w))


@pytest.mark.parametrize(("fast_conv", "plain_conv", "taps", "sides"), CASES)
def test_rounding_error_in_float32_is_below_1e_5(
    fast_conv: Convolution, plain_conv: Convolution, taps: int, sides: tuple[int, ...]
) -> None:
    for side in sides[:2]:
        x, w = inputs(taps, side, 32, torch.float32)
        exact = derivatives(plain_conv, *(part.detach().double().requires_grad_() for part in (x, w)))
        for found, expected in zip(derivatives(fast_conv, x, w), exact, strict=True):
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("taps", "stride", "side"), [(3, 1, 4), (3, 1, 8), (4, 2, 8), (4, 2, 16)])
def test_small_maps_take_at_most_9_of_16_products(taps: int, stride: int, side: int) -> None:
    tiling = fast.tiling(side // stride, stride, torch.float32)
    assert len(tiling.A) / (tiling.m * taps / stride) ** 2 <= 9 / 16
    x, _ = inputs(taps, side, 3, torch.float32)
    assert fast.is_faster(x, stride, side // stride)
    assert not fast.is_faster(x[:8], stride, side // stride)


@pytest.mark.parametrize(("stride", "products"), [(1, 36), (2, 25)])
def test_inference_takes_36_of_144_or_25_of_64_products(stride: int, products: int) -> None:
    tiling = fast.tiling(4, stride, torch.float32, inference=True)
    assert (len(tiling.A), tiling.m) == (products, 4)
    assert 2 * N >= fast.MIN_BATCH_INFERENCE


# ---- convolutions in bf16 ----


@pytest.mark.parametrize(
    ("fast_conv", "plain_conv", "taps", "sides"),
    [
        pytest.param(conv3x3, plain_conv3x3, 3, (4, 8, 16), id="conv3x3"),
        pytest.param(conv4x4, plain_conv4x4, 4, (8, 16, 32), id="conv4x4"),
        pytest.param(fast.conv_transpose2d, plain_transposed, 4, (4, 8, 16), id="transposed"),
    ],
)
def test_bf16_convolution_equals_torch_to_rounding(
    fast_conv: Convolution, plain_conv: Convolution, taps: int, sides: tuple[int, ...]
) -> None:
    """Sides: matrix products alone, for the weight gradient alone, nowhere."""
    for side in sides:
        x, w = inputs(taps, side, 32, torch.float32)
        exact = derivatives(plain_conv, *(part.detach().double().requires_grad_() for part in (x, w)))
        with torch.autocast("cpu", torch.bfloat16):
            found = derivatives(fast_conv, x, w)
        assert found[0].dtype == torch.bfloat16
        for value, expected in zip(found, exact, strict=True):
            assert (value - expected).norm() < 0.02 * expected.norm()


def test_small_maps_in_bf16_are_matrix_products() -> None:
    def used(side: int) -> bool:
        with torch.autocast("cpu", torch.bfloat16):
            return type(fast.conv2d(*inputs(4, side, 3, torch.float32), stride=2).grad_fn).__name__ == (
                "Bf16ConvolutionBackward"
            )

    assert [used(side) for side in (8, 16, 32)] == [True, True, False]
