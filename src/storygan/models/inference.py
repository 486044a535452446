"""Generating in batches: evaluation mode, progress, and conversion of images to frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Item = TypeVar("Item")
BATCH_FRAMES = 256
"""Frames that are generated at once: the same batches give the same pixels."""


def to_frames(X: Tensor) -> Tensor:
    """Convert images (..., 3, H, W) in [-1, 1] to uint8 frames (..., H, W, 3)."""
    return ((X.float() + 1) * 127.5).round().clamp(0, 255).byte().movedim(-3, -1)


def to_uint8(X: Tensor) -> np.ndarray:
    """Convert images (..., 3, H, W) in [-1, 1] to an array of uint8 frames (..., H, W, 3)."""
    return to_frames(X).cpu().numpy()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Turn off gradients and put the model in evaluation mode; restore its mode afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def batches(N: int, T: int) -> list[slice]:
    """Split N stories of T frames into slices of at most `BATCH_FRAMES` frames, or one story."""
    size = max(1, BATCH_FRAMES // T)
    return [slice(n, n + size) for n in range(0, N, size)]


def progress_bar(items: Sequence[Item], unit: str, least: int = 2) -> Iterator[Item]:
    """Iterate with a progress bar on stderr, for at least `least` items and on a terminal alone."""
    if len(items) < least:
        return iter(items)
    from storygan.progress import tqdm  # its import takes time that a single story need not

    return iter(tqdm(items, desc="generate", unit=unit))
