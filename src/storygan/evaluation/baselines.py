"""The methods that a metrics table compares: real frames, trivial baselines and the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError

MODEL = "model"
METHODS = {
    "real_frames": "real frames",
    "mean_image": "mean image",
    "previous_real_frame": "previous real frame",
    "first_real_frame": "first real frame repeated",
    "another_story": "another story's frames",
    "nearest_story": "nearest training story",
    MODEL: "the model",
}
"""JSON key -> column title. Real frames are the upper bound; the next ones are trivial baselines."""
BASELINES = tuple(name for name in METHODS if name != MODEL)
"""Methods that need no model."""


@dataclass(frozen=True)
class FramePool:
    """M distinct frames, and which of them each method shows, so that shared frames are processed once."""

    frames: np.ndarray
    """(M, H, W, 3) uint8."""
    index: dict[str, np.ndarray]
    """By method: (N, T) int64, positions in `frames`."""

    def select(self, method: str, stories: slice = slice(None)) -> np.ndarray:
        """Return a method's frames (N, T, H, W, 3) uint8."""
        return self.frames[self.index[method][stories]]


def find_baseline(name: str) -> str | None:
    """Return the baseline that `--model` names (`mean-image`, `mean image`, `mean_image`, ...); None for a model."""
    name = name.lower().replace("’", "'").replace("'s", "").replace("-", "_").replace(" ", "_").removesuffix("_frames")
    return next((baseline for baseline in BASELINES if baseline.removesuffix("_frames") == name), None)


def mean_image(dataset: StoryDataset) -> np.ndarray:
    """Return the mean of all frames: (H, W, 3) uint8."""
    total = sum(dataset.frames[n : n + 256].sum((0, 1), dtype=np.float64) for n in range(0, len(dataset), 256))
    return (total / (len(dataset) * dataset.T)).round().astype(np.uint8)


def build_pool(
    real: np.ndarray, mean: np.ndarray, generated: Mapping[str, np.ndarray | str], nearest: np.ndarray | None = None
) -> FramePool:
    """Return the frames of all methods for N stories.

    `previous_real_frame` shows frame t - 1, and the mean image as frame 1. `another_story` shows the next story; for
    the last story, the first one of the second half, as KID and FID compare the second half with the first.

    Args:
        real: (N, T, H, W, 3) uint8.
        mean: (H, W, 3) uint8.
        generated: by method, frames of the shape of `real`, or the name of a baseline to use instead.
        nearest: frames of the shape of `real`, of the training stories nearest in text; None: no such baseline.

    Raises:
        UsageError: N < 2, a baseline is missing, or generated frames have another shape than the real ones.
    """
    N, T = real.shape[:2]
    if N < 2:
        raise UsageError("evaluation needs at least 2 stories")
    frames = [mean[None], real.reshape(-1, *real.shape[2:])]
    real_idx = 1 + np.arange(N * T).reshape(N, T)
    mean_idx = np.zeros_like(real_idx)
    index = {
        "real_frames": real_idx,
        "mean_image": mean_idx,
        "previous_real_frame": np.concatenate([mean_idx[:, :1], real_idx[:, :-1]], 1),
        "first_real_frame": np.repeat(real_idx[:, :1], T, 1),
        "another_story": real_idx[[*range(1, N), N // 2 if N > 2 else 0]],
    }
    training = [] if nearest is None else [("nearest_story", nearest)]
    for method, X_hat in [*training, *generated.items()]:
        if isinstance(X_hat, str):
            if X_hat not in index:
                raise UsageError("nearest-story: the data set has no training split with frames of this T and size")
            index[method] = index[X_hat]
        elif X_hat.shape != real.shape:
            raise UsageError(f"generated frames are {X_hat.shape[1:]}, but the real ones are {real.shape[1:]}")
        else:
            index[method] = real_idx + N * T * (len(frames) - 1)
            frames.append(X_hat.reshape(-1, *real.shape[2:]))
    return FramePool(np.concatenate(frames), index)
