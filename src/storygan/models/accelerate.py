"""Convolutions of small maps with fewer products: the same functions as `torch.nn.functional`'s, gradients too.

Two outputs of a filter of two taps, `g_0 d_0 + g_1 d_1` and `g_0 d_1 + g_1 d_2`, are four products; but with
`p = (g_0 + g_1) d_1` they are `p + g_0 (d_0 - d_1)` and `p + g_1 (d_2 - d_1)`: three. In general (Winograd, 1980; for
networks Lavin and Gray, 2016) m outputs of r taps follow from the values of polynomials at n = m + r - 1 points,
`y = A^T [(G g) . (B d)]`: n products for m*r. Along both sides of a map the saving is squared: 9 products for 16
(m = r = 2), 25 for 64 (m = 4, r = 2), 16 for 36 (m = 2, r = 3), 36 for 144 (m = 4, r = 3). At each of the n*n points,
the products over channels are one matrix product, forward and in both gradients.

4x4 taps with stride 2 are 2x2 taps over the four phases (even and odd rows and columns) of the map as channels; the
transposed convolution is the same steps in the opposite order.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

POINTS = {
    (2, 2): (0.0, 1.0),
    (2, 3): (0.0, 1.0, -1.0),
    (4, 2): (1.0, -0.5, -1.5, 0.25),
    (4, 3): (0.0, 0.75, -0.75, 1.5, -1.5),
}
"""(m, r) -> points, beside infinity; of the small fractions, those with the least rounding."""

Values = Callable[[Tensor, int, Tensor], Tensor]
LARGER = 32
"""Maps from which on larger tiles pay, where the weight's values are remembered."""


class Tiling(NamedTuple):
    """How a square map of `tiles` x `tiles` tiles of m*m outputs is computed."""

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
def tiling(outputs: int, stride: int, dtype: torch.dtype, larger: bool = False) -> Tiling:
    """For `outputs` x `outputs` maps of a convolution with padding 1: 3x3 taps and stride 1, or 4x4 and stride 2.

    Tiles are `larger` where the values of the weight, which are more, need not be worked out anew each time.
    """
    m, r = (4 if larger or (outputs, stride) == (8, 2) else 2), 4 - stride
    n, tiles = m + r - 1, outputs // m
    points = torch.tensor(POINTS[m, r], dtype=torch.float64)

    def values(degree: int) -> Tensor:
        """(n, degree): the powers of every point; at infinity, the highest coefficient."""
        return torch.cat([points[:, None] ** torch.arange(degree), torch.eye(degree, dtype=torch.float64)[-1:]])

    A, G, B_tile = values(m), values(r), torch.linalg.inv(values(n)).T
    B = torch.zeros(n, tiles, stride, outputs * stride + 2, dtype=torch.float64)  # with the padding
    for tile in range(tiles):
        for phase in range(stride):
            first = tile * m * stride + phase
            B[:, tile, phase, first : first + (n - 1) * stride + 1 : stride] = B_tile
    B = B[..., 1:-1].flatten(0, 2)
    return Tiling(m, n, tiles, *(part.to(dtype) for part in (torch.kron(A, A), torch.kron(G, G), B)))


def is_faster(x: Tensor, outputs: int) -> bool:
    """Whether this is the faster way to or from maps of `outputs` x `outputs`; larger ones cost more copies."""
    if torch.compiler.is_compiling():  # an exported graph is of plain convolutions
        return False
    return x.is_cpu and outputs in (4, 8) and len(x) >= 16 and x.shape[2] == x.shape[3]


def transform_kernel(weight: Tensor, stride: int, G: Tensor) -> Tensor:
    """(outputs, C, taps, taps) -> their values (n*n, outputs, stride*stride*C)."""
    outputs, C, taps, _ = weight.shape
    phases = weight.permute(2, 3, 0, 1).reshape(taps // stride, stride, taps // stride, stride, outputs, C)
    return (G @ phases.permute(0, 2, 4, 1, 3, 5).reshape(G.shape[1], -1)).view(len(G), outputs, -1)


def conv2d(x: Tensor, weight: Tensor, stride: int, bias: Tensor | None = None, values: Values | None = None) -> Tensor:
    """`F.conv2d(x, weight, bias, stride, padding=1)` for 3x3 taps and stride 1, or 4x4 taps and stride 2.

    `values`: `transform_kernel` that remembers, for drawing.
    """
    N, C, H, W = x.shape
    if H % stride or not is_faster(x, H // stride) or (values and N < LARGER):
        return F.conv2d(x, weight, bias, stride, padding=1)
    m, n, tiles, A, G, B = tiling(H // stride, stride, x.dtype, larger=values is not None)
    rows = B.expand(N, -1, -1) @ x.permute(0, 2, 3, 1).reshape(N, H, W * C)
    d = B.expand(N * len(B), -1, -1) @ rows.view(N * len(B), W, C)
    d = d.view(N, n, tiles, stride, n, tiles, stride, C).permute(1, 4, 0, 2, 5, 3, 6, 7)
    products = d.reshape(n * n, N * tiles**2, stride**2 * C) @ (values or transform_kernel)(weight, stride, G).mT
    y = (A.T @ products.flatten(1)).view(m, m, N, tiles, tiles, -1).permute(2, 5, 3, 0, 4, 1)
    y = y.reshape(N, -1, H // stride, W // stride)
    return y if bias is None else y.add_(bias[:, None, None])


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, values: Values | None = None) -> Tensor:
    """`F.conv_transpose2d(x, weight, bias, stride=2, padding=1)` for 4x4 taps; `values` as above."""
    N, C, H, W = x.shape
    if not is_faster(x, H):
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    m, n, tiles, A, G, B = tiling(H, 2, x.dtype, larger=values is not None and N >= LARGER)
    y = x.permute(0, 2, 3, 1).reshape(N, tiles, m, tiles, m, C).permute(2, 4, 0, 1, 3, 5)
    products = (A @ y.reshape(m * m, -1)).view(n * n, N * tiles**2, C) @ (values or transform_kernel)(weight, 2, G)
    d = products.view(n, n, N, tiles, tiles, 2, 2, -1).permute(2, 0, 3, 5, 1, 4, 6, 7)
    rows = B.T.expand(N * len(B), -1, -1) @ d.reshape(N * len(B), len(B), -1)
    doubled = (B.T.expand(N, -1, -1) @ rows.view(N, len(B), -1)).view(N, 2 * H, 2 * W, -1).permute(0, 3, 1, 2)
    return doubled if bias is None else doubled.add_(bias[:, None, None])


SETTINGS = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
MAX = 1 << 30
MAX_BEFORE_GLIBC_2_35 = 1 << 25


def tune_malloc() -> bool:
    """Have glibc keep freed memory for the next layer: to ask the kernel anew is up to a quarter of drawing.

    For this process and for good, so commands that draw and end do it, and no library function.

    Returns:
        Whether it was done: not where the environment has its own settings (`SETTINGS`), or the C library is another.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    larger = any(mallopt(M_MMAP_THRESHOLD, most) for most in (MAX, MAX_BEFORE_GLIBC_2_35))
    return bool(larger and mallopt(M_TRIM_THRESHOLD, MAX))
