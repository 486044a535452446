"""Time the networks' convolutions, direct and Winograd: python benchmarks/convolutions.py [--repeats 9].

For each shape: milliseconds of processor time of one thread for 64 frames, medians of alternating runs, for the forward
pass, the input gradient and the weight gradient. `products` counts the multiplications of
`storygan.models.accelerate` and of the direct convolution. It is in brackets where `is_faster` selects the direct one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.models import accelerate as winograd

FRAMES = 64
LAYERS: dict[str, tuple[str, int, int, int]] = {  # kind, inputs, outputs, size of the smaller map
    "trunk, 64 to 128 at 32x32": ("downsample", 64, 128, 16),
    "trunk, 128 to 256 at 16x16": ("downsample", 128, 256, 8),
    "trunk, 256 to 512 at 8x8": ("downsample", 256, 512, 4),
    "conditional, 512 to 512 at 4x4": ("conditional", 512, 512, 4),
    "generator, 512 to 256 at 4x4": ("upsample", 512, 256, 4),
    "generator, 256 to 128 at 8x8": ("upsample", 256, 128, 8),
    "generator, 128 to 64 at 16x16": ("upsample", 128, 64, 16),
}
Convolution = Callable[[Tensor, Tensor], Tensor]


def layer(kind: str, inputs: int, outputs: int, size: int) -> tuple[Convolution, Convolution, Tensor, Tensor]:
    """Return the direct convolution, the Winograd one, an input and a weight."""
    if kind == "upsample":
        x, weight = torch.randn(FRAMES, inputs, size, size), torch.randn(inputs, outputs, 4, 4)
        return partial(F.conv_transpose2d, stride=2, padding=1), winograd.conv_transpose2d, x, weight
    stride = 2 if kind == "downsample" else 1
    taps = 4 if kind == "downsample" else 3
    x, weight = torch.randn(FRAMES, inputs, size * stride, size * stride), torch.randn(outputs, inputs, taps, taps)
    return partial(F.conv2d, stride=stride, padding=1), partial(winograd.conv2d, stride=stride), x, weight


def passes(convolution: Convolution, x: Tensor, weight: Tensor) -> list[float]:
    """Return milliseconds: forward pass, input gradient, weight gradient."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    clock = [time.process_time()]
    y = convolution(x, weight)
    clock.append(time.process_time())
    ones = torch.ones_like(y)
    for of in (x, weight):
        start = time.process_time()
        torch.autograd.grad(y, of, ones, retain_graph=True)
        clock.append(clock[-1] + time.process_time() - start)
    return [1000 * (b - a) for a, b in pairwise(clock)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| layer | direct, ms | Winograd, ms | products |\n|---|---|---|---|")
    for name, (kind, inputs, outputs, size) in LAYERS.items():
        direct, fast, x, weight = layer(kind, inputs, outputs, size)
        x = x.contiguous(memory_format=torch.channels_last)
        stride = 1 if kind == "conditional" else 2
        taken = winograd.is_faster(x, stride, size)
        with patch.dict(winograd.WINOGRAD_TILES, {(2, 16): (4, 4)}):
            times: dict[Convolution, list[list[float]]] = {direct: [], fast: []}
            for _ in range(repeats + 1):  # the first warms up
                for convolution, found in times.items():
                    found.append(passes(convolution, x, weight))
            tiling = winograd.tiling(size, stride, x.dtype)
        medians = [
            " / ".join(f"{statistics.median(t):.0f}" for t in zip(*found[1:], strict=True)) for found in times.values()
        ]
        products = f"{tiling.n**2} for {(tiling.m * (3 if kind == 'conditional' else 2)) ** 2}"
        print(f"| {name} | {medians[0]} | {medians[1]} | {products if taken else f'({products})'} |", flush=True)


if __name__ == "__main__":
    main()
