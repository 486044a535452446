"""Convolutions that are faster than PyTorch's on a CPU, and equal to rounding: of 3x3 kernels with stride 1 and 4x4
kernels with stride 2, forward and transposed, of small maps.

In fp32 they take fewer multiplications (Winograd). In bf16, where a processor multiplies matrices, they are products of
matrices. `conv2d` and `conv_transpose2d` choose by tables of measured sizes, and use PyTorch's elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# ---- which convolution is used where ----

WINOGRAD_TILES = {
    # (stride, size): (m, m for inference). `size` is the side of the smaller of the two maps.
    (1, 4): (2, 4),  # the join of D_I; for inference also the generator's first convolution
    (1, 8): (2, 4),  # no layer of ours
    (2, 4): (2, 4),  # trunk, 256 to 512 channels; generator, 512 to 256 channels
    (2, 8): (4, 4),  # trunk, 128 to 256 channels; generator, 256 to 128 channels
}
"""Where Winograd is faster than oneDNN, and the tiles of m x m outputs it uses there (`benchmarks/speed.py
convolutions`). Larger maps cost more copies than they save products. Inference transforms a kernel once, so that larger
tiles pay."""
MIN_BATCH, MIN_BATCH_INFERENCE = 16, 32
"""Maps in a batch from which on Winograd is faster; for `MIN_BATCH_INFERENCE`, with the tiles for inference."""
MAX_BF16_SIZE, MAX_BF16_SIZE_WEIGHT_GRADIENT = 4, 8
"""Largest side of the smaller map for which matrix products are faster (`benchmarks/speed.py convolutions`)."""


def is_faster(x: Tensor, stride: int, size: int) -> bool:
    """Return whether Winograd is faster than PyTorch's convolution, for input x (N, C, H, W)."""
    if torch.compiler.is_compiling() or bf16_dtype(x):  # exported graphs have plain convolutions
        return False
    exact = x.dtype in (torch.float32, torch.float64)  # Winograd's rounding errors are too large in fp16
    return exact and x.is_cpu and x.shape[2] == x.shape[3] and len(x) >= MIN_BATCH and (stride, size) in WINOGRAD_TILES


def bf16_dtype(x: Tensor) -> torch.dtype | None:
    """Return bf16 where a convolution of x is computed in it on a CPU, by autocast or as x is bf16; otherwise None."""
    if not x.is_cpu or torch.compiler.is_compiling():
        return None
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return dtype if dtype == torch.bfloat16 else None


# ---- Winograd convolutions ----
#
# Two outputs of a filter of two taps, `g_0 d_0 + g_1 d_1` and `g_0 d_1 + g_1 d_2`, take four products. With
# `p = (g_0 + g_1) d_1` they are `p + g_0 (d_0 - d_1)` and `p + g_1 (d_2 - d_1)`: three. In general (Winograd, 1980;
# Lavin and Gray, 2016) m outputs of r taps follow from the values of polynomials at n = m + r - 1 points,
# `y = A^T [(G g) . (B d)]`: n products instead of m*r. In two dimensions both are squared: 9 products for 16
# (m = r = 2), 25 for 64 (m = 4, r = 2), 16 for 36 (m = 2, r = 3), 36 for 144 (m = 4, r = 3). At each of the n*n points,
# the products over channels are one matrix product, forward and in both gradients.
#
# A 4x4 kernel with stride 2 is a 2x2 kernel over the four phases (even and odd rows and columns) of the map, as
# channels. The transposed convolution takes the same steps in the opposite order.

POINTS = {
    (2, 2): (0.0, 1.0),
    (2, 3): (0.0, 1.0, -1.0),
    (4, 2): (1.0, -0.5, -1.5, 0.25),
    (4, 3): (0.0, 0.75, -0.75, 1.5, -1.5),
}
"""(m, r) -> points besides infinity: the small fractions with the smallest rounding errors."""
Transform = Callable[[Tensor, int, Tensor], Tensor]


class Tiling(NamedTuple):
    """The matrices that compute a square map of `tiles` x `tiles` tiles of m*m outputs each."""

    m: int
    n: int
    tiles: int
    A: Tensor
    """(n*n, m*m), from outputs to points; its transpose is from points to outputs."""
    G: Tensor
    """(n*n, r*r), from the taps of a phase to points."""
    B: Tensor
    """(n*tiles*stride, m*tiles*stride), from a row or column of the input to the points of every tile and phase."""


@cache
@torch.inference_mode(False)
def tiling(size: int, stride: int, dtype: torch.dtype, inference: bool = False) -> Tiling:
    """Build the matrices for `size` x `size` outputs of Conv3x3 with stride 1 or Conv4x4 with stride 2, padding 1.

    Args:
        inference: use the tiles for precomputed kernels.
    """
    m, r = WINOGRAD_TILES[stride, size][inference], 4 - stride
    n, tiles = m + r - 1, size // m
    points = torch.tensor(POINTS[m, r], dtype=torch.float64)

    def powers(degree: int) -> Tensor:
        """(n, degree): the powers of every point; for infinity, the highest coefficient."""
        return torch.cat([points[:, None] ** torch.arange(degree), torch.eye(degree, dtype=torch.float64)[-1:]])

    A, G, B_tile = powers(m), powers(r), torch.linalg.inv(powers(n)).T
    B = torch.zeros(n, tiles, stride, size * stride + 2, dtype=torch.float64)  # with the padding
    for tile in range(tiles):
        for phase in range(stride):
            first = tile * m * stride + phase
            B[:, tile, phase, first : first + (n - 1) * stride + 1 : stride] = B_tile
    B = B[..., 1:-1].flatten(0, 2)
    return Tiling(m, n, tiles, *(part.to(dtype) for part in (torch.kron(A, A), torch.kron(G, G), B)))


def transform_kernel(weight: Tensor, stride: int, G: Tensor) -> Tensor:
    """Transform a kernel (outputs, C, taps, taps) to the points: (n*n, outputs, stride*stride*C)."""
    outputs, C, taps, _ = weight.shape
    phases = weight.permute(2, 3, 0, 1).reshape(taps // stride, stride, taps // stride, stride, outputs, C)
    return (G @ phases.permute(0, 2, 4, 1, 3, 5).reshape(G.shape[1], -1)).view(len(G), outputs, -1)


def conv2d(
    x: Tensor, weight: Tensor, stride: int, bias: Tensor | None = None, cached: Transform | None = None
) -> Tensor:
    """Compute `F.conv2d(x, weight, bias, stride, padding=1)` of a 3x3 kernel with stride 1, or a 4x4 one with stride 2.

    Args:
        cached: for inference, `transform_kernel` with a cache.
    """
    N, C, H, W = x.shape
    if (dtype := bf16_dtype(x)) and max(H, W) <= MAX_BF16_SIZE_WEIGHT_GRADIENT * stride:
        y = Bf16Convolution.apply(x.to(dtype), weight.to(dtype), stride, False)
        return y if bias is None else y + bias.to(dtype)[:, None, None]
    if H % stride or not is_faster(x, stride, H // stride) or (cached and N < MIN_BATCH_INFERENCE):
        return F.conv2d(x, weight, bias, stride, padding=1)
    m, n, tiles, A, G, B = tiling(H // stride, stride, x.dtype, inference=cached is not None)
    rows = B.expand(N, -1, -1) @ x.permute(0, 2, 3, 1).reshape(N, H, W * C)
    d = B.expand(N * len(B), -1, -1) @ rows.view(N * len(B), W, C)
    d = d.view(N, n, tiles, stride, n, tiles, stride, C).permute(1, 4, 0, 2, 5, 3, 6, 7)
    products = d.reshape(n * n, N * tiles**2, stride**2 * C) @ (cached or transform_kernel)(weight, stride, G).mT
    y = (A.T @ products.flatten(1)).view(m, m, N, tiles, tiles, -1).permute(2, 5, 3, 0, 4, 1)
    y = y.reshape(N, -1, H // stride, W // stride)
    return y if bias is None else y.add_(bias[:, None, None])


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, cached: Transform | None = None) -> Tensor:
    """Compute `F.conv_transpose2d(x, weight, bias, stride=2, padding=1)` of a 4x4 kernel; `cached` as in `conv2d`."""
    N, C, H, W = x.shape
    if (dtype := bf16_dtype(x)) and max(H, W) <= MAX_BF16_SIZE_WEIGHT_GRADIENT:
        y = Bf16Convolution.apply(x.to(dtype), weight.to(dtype), 2, True)
        return y if bias is None else y + bias.to(dtype)[:, None, None]
    if not is_faster(x, 2, H):
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    m, n, tiles, A, G, B = tiling(H, 2, x.dtype, inference=cached is not None and N >= MIN_BATCH_INFERENCE)
    y = x.permute(0, 2, 3, 1).reshape(N, tiles, m, tiles, m, C).permute(2, 4, 0, 1, 3, 5)
    products = (A @ y.reshape(m * m, -1)).view(n * n, N * tiles**2, C) @ (cached or transform_kernel)(weight, 2, G)
    d = products.view(n, n, N, tiles, tiles, 2, 2, -1).permute(2, 0, 3, 5, 1, 4, 6, 7)
    rows = B.T.expand(N * len(B), -1, -1) @ d.reshape(N * len(B), len(B), -1)
    y = (B.T.expand(N, -1, -1) @ rows.view(N, len(B), -1)).view(N, 2 * H, 2 * W, -1).permute(0, 3, 1, 2)
    return y if bias is None else y.add_(bias[:, None, None])


# ---- convolutions in bf16 ----
#
# oneDNN computes them in the matrix units of a processor, but those of small maps slowly. As windows and one matrix
# product they are faster, above all their weight gradients. Pixels are (N, H, W, C), kernels (k, k, C, outputs).


def windows(pixels: Tensor, k: int, stride: int = 1) -> Tensor:
    """Copy the k x k windows of a map (N, H, W, C) with a border of zeros: (N, windows, windows, k*k*C)."""
    padded = F.pad(pixels, (0, 0, 1, 1, 1, 1))
    return padded.unfold(1, k, stride).unfold(2, k, stride).permute(0, 1, 2, 4, 5, 3).flatten(3)


def matrix(kernel: Tensor) -> Tensor:
    """Flatten a kernel (k, k, inputs, outputs) to (k*k*inputs, outputs), in the order that it has in memory."""
    return kernel.flatten(0, 2) if kernel.stride(3) == 1 else kernel.movedim(3, 0).flatten(1).T


def matmul_conv(pixels: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Compute a convolution of padding 1: (N, H, W, inputs) -> (N, H/stride, W/stride, outputs)."""
    patches = windows(pixels, len(kernel), stride)
    return (patches.flatten(0, 2) @ matrix(kernel)).view(*patches.shape[:3], -1)


def matmul_conv_transpose(pixels: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Compute the adjoint of `matmul_conv`: (N, H, W, outputs) -> (N, H*stride, W*stride, inputs).

    With stride 2, the result has four phases of even or odd rows and columns: each is a convolution with 2x2 taps.
    """
    kernel, (N, H, W, _) = kernel.transpose(2, 3), pixels.shape
    if stride == 1:
        return matmul_conv(pixels, kernel.flip(0, 1), 1)
    pairs, order = windows(pixels, 2), ([3, 1], [2, 0])
    phases = [
        pairs[:, row : row + H, column : column + W].flatten(0, 2) @ matrix(kernel[order[row]][:, order[column]])
        for row, column in product((0, 1), repeat=2)
    ]
    return torch.stack(phases, 1).view(N, H, W, 2, 2, -1).transpose(2, 3).reshape(N, 2 * H, 2 * W, -1)


class Bf16Convolution(torch.autograd.Function):
    """`F.conv2d` or, transposed, `F.conv_transpose2d` of padding 1; small maps and their gradients as matrix products.

    It can be differentiated twice, for R1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.transposed = stride, transposed
        return Bf16Convolution.convolve(x, weight, stride, transposed).data  # no view: ReLU may work in place

    @staticmethod
    def convolve(x: Tensor, weight: Tensor, stride: int, transposed: bool) -> Tensor:
        """Compute the convolution (weight (outputs, inputs, k, k)), or its adjoint."""
        if (x.shape[2] if transposed else x.shape[2] // stride) > MAX_BF16_SIZE:
            return (F.conv_transpose2d if transposed else F.conv2d)(x, weight, None, stride, padding=1)
        function = matmul_conv_transpose if transposed else matmul_conv
        return function(x.permute(0, 2, 3, 1), weight.permute(2, 3, 1, 0), stride).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), stride, transposed = ctx.saved_tensors, ctx.stride, ctx.transposed
        x_gradient = weight_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = Bf16Convolution.convolve(gradient, weight, stride, not transposed)
        if ctx.needs_input_grad[1]:
            larger, smaller = (one.permute(0, 2, 3, 1) for one in ((gradient, x) if transposed else (x, gradient)))
            k, outputs, inputs = weight.shape[2], smaller.shape[3], larger.shape[3]
            taps, pixels = windows(larger, k, stride).flatten(0, 2), smaller.flatten(0, 2)
            if transposed:  # in the order in which the kernel is in memory
                weight_gradient = (taps.T @ pixels).view(k, k, inputs, outputs).permute(3, 2, 0, 1)
            else:
                weight_gradient = (pixels.T @ taps).view(outputs, k, k, inputs).permute(0, 3, 1, 2)
        return x_gradient, weight_gradient, None, None
