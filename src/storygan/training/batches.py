"""Stories, frames and noise of an iteration: a function of (seed, stage, k), the same in a resumed run and in every
process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from storygan.config import StageConfig, TrainConfig
from storygan.data.dataset import StoryDataset
from storygan.evaluation.labelled_frames import LabelledFrames, augment, to_images
from storygan.models.noise import Noise


def iterations_per_epoch(stories: int, batch_size: int) -> int:
    """Return the number of whole batches in an epoch; the remaining stories are skipped."""
    return stories // batch_size


def indices(stories: int, batch_size: int, seed: int, stage: int, k: int) -> np.ndarray:
    """Return the stories of iteration k, (B,): each epoch is a permutation seeded by (seed, stage, epoch)."""
    epoch, position = divmod(k, iterations_per_epoch(stories, batch_size))
    return _permutation(stories, seed, stage, epoch)[position * batch_size : (position + 1) * batch_size]


@lru_cache(maxsize=1)
def _permutation(stories: int, seed: int, stage: int, epoch: int) -> np.ndarray:
    """Return an epoch's permutation, cached: one of ten million stories takes seconds."""
    return np.random.default_rng((seed, stage, epoch)).permutation(stories)


def sample_frames(batch_size: int, T: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample n of the T frames of each story without replacement, frame t with weight t: (B, n), sorted.

    Takes the n largest u^(1/t), with u uniform (Efraimidis and Spirakis, 2006).
    """
    u = rng.random((batch_size, T))
    return np.sort(np.argsort(u ** (1 / np.arange(1, T + 1)), axis=1)[:, T - n :], axis=1)


def sample_disc_frames(batch_size: int, n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Sample m of n frames of each story, uniformly and without replacement: (B, m)."""
    return rng.permuted(np.tile(np.arange(n), (batch_size, 1)), axis=1)[:, :m]


def sample_orders(frame_idx: np.ndarray, T: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffle each story's sentences such that the frames `frame_idx` of a cumulative story stay correct.

    Sentences between two of these frames, (B, n) and sorted, are shuffled.

    Returns:
        (B, T), the order.
    """
    after = (frame_idx[:, None] < np.arange(T)[:, None]).sum(2)  # (B, T): number of these frames before a sentence
    return np.argsort(after + rng.random(after.shape), axis=1)


def derive_seed(*entropy: int) -> int:
    """Return a seed from 0 to 2^63 - 1 for a tuple of numbers."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass
class Batch:
    """B stories, with n generated frames each."""

    X: Tensor
    """(B, n, 3, 64, 64) real frames in [-1, 1]."""
    S: Tensor
    """(B, T, 128) sentence vectors."""
    story_idx: Tensor
    """(B,) int64, indices into the data set."""
    frame_idx: Tensor
    """(B, n) int64, indices of the generated frames, 0 to T - 1."""
    disc_frame_idx: Tensor | None = None
    """(B, m) int64, indices of the frames that D_I sees, 0 to n - 1; None: all."""
    labels: Any = None
    """(B, n, K) in {0, 1}, for the label head."""
    pixel_weight: Tensor | None = None
    """(B, n, 1, 64, 64), weights of the mean squared error; None: 1."""
    order: Tensor | None = None
    """(B, T) int64, with `shuffle_sentences`: row b of S is row b of the data set's, indexed by it."""
    targets: Any = None
    """`ClassifierTargets` of the B*n frames, for the auxiliary classifier loss."""
    augmented: Any = None
    """Augmented real frames (B*n, 3, 64, 64) and their `ClassifierTargets`, if the auxiliary classifier learns."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        moved: dict[str, Any] = {name: part.to(device) for name, part in vars(self).items() if hasattr(part, "to")}
        if self.augmented is not None:
            moved["augmented"] = tuple(part.to(device) for part in self.augmented)
        return replace(self, **moved)

    def select_frames(self, parts: Tensor) -> Tensor:
        """Return the entries of the frames that D_I sees: (B, n, ...) -> (B, m, ...)."""
        return parts if self.disc_frame_idx is None else take(parts, self.disc_frame_idx)


def take(parts: Tensor, idx: Tensor) -> Tensor:
    """Index each story's entries: (B, T, ...) and (B, n) int64 -> (B, n, ...)."""
    return parts[torch.arange(len(idx), device=idx.device)[:, None], idx]


def frames_on_device(dataset: StoryDataset, device: torch.device) -> Tensor | None:
    """Copy all frames to a GPU, uint8 (N, T, H, W, 3); None where they take more than half of its free memory."""
    if device.type != "cuda" or dataset.frames.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return None
    return torch.from_numpy(np.array(dataset.frames)).to(device)


@dataclass
class BatchLoader:
    """Load the batches of one stage.

    Args:
        number: index of the stage, from 0.
        S: (N, T, 128) sentence vectors of the whole data set.
        content: targets of the auxiliary classifier, for a stage with one.
        frames: the data set's frames on the device, from `frames_on_device`.
    """

    config: TrainConfig
    stage: StageConfig
    number: int
    dataset: StoryDataset
    S: Tensor
    content: LabelledFrames | None = None
    frames: Tensor | None = None

    def __post_init__(self) -> None:
        every = np.arange(len(self.dataset))
        wanted = self.stage.shards
        self.stories = every[np.isin(self.dataset.shards, wanted)] if wanted else every  # type: ignore[arg-type]
        """Indices of the stories that the stage uses."""

    @property
    def iterations_per_epoch(self) -> int:
        """Iterations of an epoch over the stage's stories."""
        return iterations_per_epoch(len(self.stories), self.stage.batch_size)

    def images(self, story_idx: np.ndarray, frame_idx: np.ndarray) -> Tensor:
        """Return real frames, (B, n, 3, H, W) in [-1, 1], for (B,) and (B, n) indices; on the device if `frames` is."""
        if self.frames is None:
            return to_images(np.array(self.dataset.frames[story_idx[:, None], frame_idx]))
        return to_images(self.frames[torch.from_numpy(story_idx)[:, None], torch.from_numpy(frame_idx)])

    def load(self, k: int, part: slice) -> Batch:
        """Return `part` of the batch of iteration k. Random values are sampled for the whole batch."""
        config, stage, dataset, T = self.config, self.stage, self.dataset, self.dataset.T
        rng = np.random.default_rng((config.seed, self.number, k))
        whole = self.stories[indices(len(self.stories), stage.batch_size, config.seed, self.number, k)]
        all_frames = np.tile(np.arange(T), (stage.batch_size, 1))
        whole_idx = sample_frames(stage.batch_size, T, stage.frames, rng) if stage.frames else all_frames
        n = whole_idx.shape[1]
        story_idx, frame_idx = whole[part], whole_idx[part]
        rows = np.arange(len(story_idx))[:, None]
        batch = Batch(
            X=self.images(story_idx, frame_idx),
            S=self.S[torch.from_numpy(story_idx)],
            story_idx=torch.from_numpy(story_idx),
            frame_idx=torch.from_numpy(frame_idx),
        )
        if stage.disc_frames:
            disc_idx = sample_disc_frames(stage.batch_size, n, stage.disc_frames, rng)[part]
            batch.disc_frame_idx = torch.from_numpy(disc_idx)
        if stage.foreground_weight != 1:
            foreground = torch.from_numpy(dataset.foreground(story_idx)[rows, frame_idx])
            batch.pixel_weight = 1 + (stage.foreground_weight - 1) * foreground[:, :, None].float()
        if config.discriminator.label_head and dataset.labels is not None:
            batch.labels = torch.from_numpy(dataset.labels[story_idx[:, None], frame_idx]).float()
        if self.content is not None:
            targets = self.content.targets(whole, whole_idx, rng)
            flat = slice((part.start or 0) * n, (part.stop or stage.batch_size) * n)
            batch.targets = targets[flat]
            if stage.C is not None:
                X, targets = augment(self.images(whole, whole_idx).cpu(), targets, rng)
                batch.augmented = X[part].flatten(0, 1), targets[flat]
        if stage.shuffle_sentences:
            batch.order = torch.from_numpy(sample_orders(whole_idx, T, rng)[part])
            batch.S = take(batch.S, batch.order)
        return batch

    def noise(self, batch: Batch, k: int, part: slice, step: int = 0) -> Noise:
        """Sample the noise of `part` of a batch, for the `step`-th generator pass of iteration k."""
        config, dataset = self.config, self.dataset
        seed = np.random.SeedSequence((config.seed, self.number, k, 1, step)).generate_state(1, np.uint64)[0]
        noise = Noise.sample(self.stage.batch_size, config.model, torch.Generator().manual_seed(int(seed) >> 1))[part]
        if self.stage.couple_nuisance:
            idx = batch.story_idx.cpu().numpy()
            story, frame = (
                None if column is None else torch.from_numpy(column[idx])
                for column in (dataset.story_nuisance, dataset.frame_nuisance)
            )
            noise = noise.couple(story, frame, config.model.noise)
        return noise if batch.order is None else noise.permute(batch.order.cpu())
