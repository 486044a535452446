"""The convolutions with fewer products against torch's: values, gradients, and gradients of gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.models import accelerate as winograd
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.image_generator import ImageGenerator

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


def remembered_conv3x3(x: Tensor, w: Tensor) -> Tensor:
    """Twice as many maps are enough for the larger tiles."""
    return winograd.conv2d(torch.cat([x, -x]), w, stride=1, values=winograd.transform_kernel)[: len(x)]


def remembered_transposed(x: Tensor, w: Tensor) -> Tensor:
    """Likewise."""
    return winograd.conv_transpose2d(torch.cat([x, -x]), w, values=winograd.transform_kernel)[: len(x)]


# fast, plain, taps, sides of the input: those of the networks, and others
CASES = [
    pytest.param(conv3x3, plain_conv3x3, 3, (4, 8, 5), id="conv3x3"),
    pytest.param(conv4x4, plain_conv4x4, 4, (8, 16, 32, 7), id="conv4x4"),
    pytest.param(winograd.conv_transpose2d, plain_transposed, 4, (4, 8, 16), id="transposed"),
    pytest.param(remembered_conv3x3, plain_conv3x3, 3, (4, 8), id="remembered conv3x3"),
    pytest.param(remembered_transposed, plain_transposed, 4, (4, 8), id="remembered transposed"),
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


NETWORKS = {
    "generator": (ImageGenerator, lambda G, x: G(x[0])),
    "image discriminator": (ImageDiscriminator, lambda D, x: torch.cat(D(x[1], (x[2], x[3]), (x[3], x[2]))[0])),
    "story discriminator": (lambda: StoryDiscriminator(4), lambda D, x: D(x[1].view(4, 4, 3, 64, 64), x[4])[0]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values within 1e-5; gradients in float64, where no rounding throws a ReLU's switch."""
    make, call = NETWORKS[name]
    torch.manual_seed(0)
    network = make().to(memory_format=torch.channels_last)
    exact = copy.deepcopy(network).double()
    x = [torch.randn(N, 128, 4, 4), torch.randn(N, 3, 64, 64), *torch.randn(2, N, 128), torch.randn(4, 4, 128)]
    exact_x = [part.double() for part in x]

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(call(exact, exact_x).square().mean(), list(exact.parameters())))

    with torch.no_grad():
        fast = call(network, x)
    fast_gradients = gradients()
    monkeypatch.setattr(winograd, "is_faster", lambda *_: False)
    with torch.no_grad():
        direct = call(network, x)
    assert (fast - direct).norm() < 1e-5 * direct.norm()
    for one, other in zip(fast_gradients, gradients(), strict=True):
        assert (one - other).norm() < 1e-9 * other.norm()


@pytest.mark.parametrize(("taps", "stride", "side"), [(3, 1, 4), (3, 1, 8), (4, 2, 8), (4, 2, 16)])
def test_fewer_products(taps: int, stride: int, side: int) -> None:
    """9 for 16, 25 for 64, 16 for 36."""
    tiling = winograd.tiling(side // stride, stride, torch.float32)
    assert len(tiling.A) / (tiling.m * taps / stride) ** 2 < 0.6
    x, _ = inputs(taps, side, 3, torch.float32)
    assert winograd.is_faster(x, side // stride)
    assert not winograd.is_faster(x[:8], side // stride)


@pytest.mark.parametrize(("stride", "products"), [(1, 36), (2, 25)])
def test_fewest_products(stride: int, products: int) -> None:
    """36 for 144, and 25 for 64 on 4x4 maps too, from as many maps on as the cases above have."""
    tiling = winograd.tiling(4, stride, torch.float32, larger=True)
    assert (len(tiling.A), tiling.m) == (products, 4)
    assert 2 * N >= winograd.LARGER
