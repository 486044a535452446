"""Weights in a safetensors file. It has no checksums: types and ranges are checked instead."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from storygan.files import read_safetensors

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
SHIPPED = Path(__file__).parents[1] / "weights"
"""The folder of shipped models."""
MAX_WEIGHTS = 2**28
"""Bytes of a file; ours have up to 10 MB."""


def load_weights(path: Path) -> dict[str, Tensor]:
    """Load weights of at most `MAX_WEIGHTS` bytes.

    Raises:
        OSError, ValueError, SafetensorError: the file cannot be read, or a tensor cannot be that of a network: it holds
            other numbers than floats, or NaN, Inf or a negative variance.
    """
    weights = load(read_safetensors(path, MAX_WEIGHTS))
    for name, tensor in weights.items():
        counter = name.endswith("num_batches_tracked")
        if tensor.dtype not in ({torch.int64} if counter else FLOATS):
            raise ValueError(f"{name!r} in {path.name} is of {tensor.dtype}")
        if not tensor.float().isfinite().all():
            raise ValueError(f"{name!r} in {path.name} is not finite")
        if (counter or name.endswith("running_var")) and (tensor < 0).any():
            raise ValueError(f"{name!r} in {path.name} is negative")
    return weights
