"""Which stories an iteration sees: a function of the seed and the iteration, so that a resumed run sees the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from storygan.data.dataset import StoryDataset
from storygan.training.steps import Batch


def iterations_per_epoch(stories: int, batch_size: int) -> int:
    """Whole batches in one pass over the stories; the rest sits this epoch out."""
    return stories // batch_size


def indices(stories: int, batch_size: int, seed: int, k: int) -> np.ndarray:
    """The stories of iteration `k`: every epoch is a fresh permutation, seeded by (seed, epoch)."""
    epoch, position = divmod(k, iterations_per_epoch(stories, batch_size))
    return _permutation(stories, seed, epoch)[position * batch_size : (position + 1) * batch_size]


@lru_cache(maxsize=1)
def _permutation(stories: int, seed: int, epoch: int) -> np.ndarray:
    """Of the epoch, kept: that of ten million stories is no matter of an iteration."""
    return np.random.default_rng((seed, epoch)).permutation(stories)


def judged_frames(batch_size: int, T: int, n: int, seed: int, k: int) -> np.ndarray:
    """Which n of the T frames of each story D_I judges in iteration `k`: (B, n), no frame twice."""
    rng = np.random.default_rng((seed, k, n))
    return rng.permuted(np.tile(np.arange(T), (batch_size, 1)), axis=1)[:, :n]


def drawn_frames(batch_size: int, T: int, n: int, seed: int, k: int) -> np.ndarray:
    """Which n of the T frames of each story the warm-up draws in iteration `k`: (B, n), no frame twice, in order.
    They are drawn one by one, frame t with weight t (Efraimidis and Spirakis, 2006: the n largest u^(1/t))."""
    u = np.random.default_rng((seed, k, n, T)).random((batch_size, T))
    return np.sort(np.argsort(u ** (1 / np.arange(1, T + 1)), axis=1)[:, T - n :], axis=1)


def orders(shown: np.ndarray, T: int, seed: int, k: int) -> np.ndarray:
    """In which order the sentences of each story are told in iteration `k`: (B, T), chosen so that each of the frames
    `shown` (B, n), in order, shows what it did. What is told between two of them comes in any order."""
    after = (shown[:, None] < np.arange(T)[:, None]).sum(2)  # (B, T): how many of them come before a sentence
    return np.argsort(after + np.random.default_rng((seed, k, T, 0)).random(after.shape), axis=1)


def to_images(frames: np.ndarray) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) -> float32 (B, T, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).movedim(-1, 2).float().div_(127.5).sub_(1)


def load_batch(dataset: StoryDataset, S: torch.Tensor, chosen: np.ndarray, with_labels: bool) -> Batch:
    """Read stories from the memory map; `S` holds the sentence vectors of the whole data set, (N, T, 128)."""
    labels = None
    if with_labels and dataset.labels is not None:
        labels = torch.from_numpy(dataset.labels[chosen]).float()
    return Batch(X=to_images(dataset.batch(chosen)), S=S[torch.from_numpy(chosen)], labels=labels)
