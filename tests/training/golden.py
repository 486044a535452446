"""Fixed inputs of the golden numbers: weights, stories, frames and noise, independent of the package."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import nn

B, T, STEPS = 4, 4, 6
FRAME_IDX = np.array([[1, 3], [0, 2], [2, 3], [1, 2]])
"""(B, 2), the frames that are generated where a stage generates two."""
DISC_FRAME_IDX = np.array([[0], [3], [1], [2]])
"""(B, 1), the frame that D_I sees with `disc_frames: 1`."""


def story_idx(k: int) -> np.ndarray:
    """Return the B stories of iteration k of the sample's 48: (B,)."""
    return (np.arange(B) + B * k) % 48


def sentence_order(k: int) -> np.ndarray:
    """Return an order of the T sentences that leaves the frames FRAME_IDX as they are: (B, T)."""
    after = (FRAME_IDX[:, None] < np.arange(T)[:, None]).sum(2)
    return np.argsort(after + np.random.default_rng((k, 1)).random(after.shape), axis=1)


def noise_generator(k: int) -> torch.Generator:
    """Return the generator of iteration k's noise."""
    return torch.Generator().manual_seed(100 + k)


@torch.no_grad()
def set_weights(network: nn.Module) -> None:
    """Fill a network with weights that depend on their names and shapes alone."""
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(tensor.shape))
        if "running_var" in name:
            values = 1 + 0.1 * np.abs(values)
        elif "running_mean" in name or "bias" in name:
            values = 0.1 * values
        elif tensor.dim() == 1:  # of a norm layer
            values = 1 + 0.1 * values
        else:
            values = values / math.sqrt(tensor[0].numel())
        tensor.copy_(torch.from_numpy(values).to(tensor.dtype))
