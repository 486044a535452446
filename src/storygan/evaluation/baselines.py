"""The rows of every table: real frames, three trivial ways to draw, and the model.

All their frames lie in one pool, each once, and a row is an array of positions in it: what is computed for a frame is
shared by the rows that show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError

MODEL = "model"
ROWS = {
    "real_frames": "real frames",
    "mean_image": "mean image",
    "previous_real_frame": "previous real frame",
    "another_story": "another story's frames",
    MODEL: "the model",
}
"""Names in JSON, and as they are printed. Real frames are the ceiling."""
TRIVIAL = tuple(name for name in ROWS if name != MODEL)


@dataclass(frozen=True)
class FramePool:
    """Frames, and which of them each row shows."""

    frames: np.ndarray
    """(M, H, W, 3) uint8: the mean image, the real frames of N stories, and those that were drawn."""
    rows: dict[str, np.ndarray]
    """By row (N, T), positions in `frames`."""

    def show(self, row: str, stories: slice = slice(None)) -> np.ndarray:
        """The frames of a row: (N, T, H, W, 3) uint8."""
        return self.frames[self.rows[row][stories]]


def trivial_row(name: str) -> str | None:
    """The trivial row that a `--model` names, as in `mean-image`, `mean image` or `mean_image`; None for a model."""
    name = name.lower().replace("’", "'").replace("'s", "").replace("-", "_").replace(" ", "_").removesuffix("_frames")
    return next((row for row in TRIVIAL if row.removesuffix("_frames") == name), None)


def mean_image(dataset: StoryDataset) -> np.ndarray:
    """The mean of all frames: (H, W, 3) uint8."""
    total = sum(dataset.frames[n : n + 256].sum((0, 1), dtype=np.float64) for n in range(0, len(dataset), 256))
    return (total / (len(dataset) * dataset.T)).round().astype(np.uint8)


def make_pool(real: np.ndarray, mean: np.ndarray, drawn: Mapping[str, np.ndarray | str]) -> FramePool:
    """Lay out the rows of N stories: real (N, T, H, W, 3), mean (H, W, 3), and what was drawn, by row: frames like the
    real ones, or a trivial row's name.

    Frame 1 has no previous frame: there `previous_real_frame` shows the mean image. `another_story` shows the next
    story's frames (the last shows the first of the second half: KID and FID compare that half with the other one).

    Raises:
        UsageError: where there is one story alone, or drawn frames have another shape than the real ones.
    """
    N, T = real.shape[:2]
    if N < 2:
        raise UsageError("evaluation needs at least 2 stories: one is compared with another")
    frames = [mean[None], real.reshape(-1, *real.shape[2:])]
    shown = 1 + np.arange(N * T).reshape(N, T)
    nothing = np.zeros_like(shown)
    rows = {
        "real_frames": shown,
        "mean_image": nothing,
        "previous_real_frame": np.concatenate([nothing[:, :1], shown[:, :-1]], 1),
        "another_story": shown[[*range(1, N), N // 2 if N > 2 else 0]],
    }
    for name, by_model in drawn.items():
        if isinstance(by_model, str):
            rows[name] = rows[by_model]
        elif by_model.shape != real.shape:
            raise UsageError(f"the model draws frames {by_model.shape[1:]}, but the real ones are {real.shape[1:]}")
        else:
            rows[name] = shown + N * T * (len(frames) - 1)
            frames.append(by_model.reshape(-1, *real.shape[2:]))
    return FramePool(np.concatenate(frames), rows)
