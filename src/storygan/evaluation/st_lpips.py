"""ST-LPIPS: the shift-tolerant variant of LPIPS (Ghildyal and Liu, ECCV 2022) on AlexNet features.

Its values differ from those of LPIPS v0.1 (Zhang et al., CVPR 2018): compare them with ST-LPIPS only. The weights are
those of the package `stlpips-pytorch`, whose code is not imported.
"""

from __future__ import annotations

import io
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.errors import StoryganError, reason
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.bootstrap import PerStory
from storygan.files import read_file
from storygan.progress import tqdm

ST_LPIPS = "st_lpips_alex"
"""Of the metric."""
MAX_STORIES = 250
"""Stories, at most, for time: the first ones."""
MIN_SIZE = 24
"""Pixels a side of the smallest frame that the network takes."""
BATCH = 2
"""Stories a batch, of all methods."""
PACKAGE = "stlpips-pytorch"
WEIGHTS = "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"
MAX_BYTES = 2**26
CONVOLUTIONS = {  # name: shape of the weight, padding
    "net.slice1.0": ((64, 3, 11, 11), 2),
    "net.slice2.5": ((192, 64, 5, 5), 2),
    "net.slice3.9": ((384, 192, 3, 3), 1),
    "net.slice4.11": ((256, 384, 3, 3), 1),
    "net.slice5.13": ((256, 256, 3, 3), 1),
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of frames in [-1, 1], as in LPIPS v0.1."""


def find_weights() -> Path | None:
    """Return the file of the weights in the installed package; None: it is not installed."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(WEIGHTS)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


class ShiftTolerantLPIPS:
    """A distance of two frames; 0: they are equal."""

    def __init__(self, weights: Path, device: torch.device | None = None) -> None:
        """Load the weights. Raise StoryganError if the file cannot be read, or is another network's."""
        device = device or torch.device("cpu")
        try:
            state = torch.load(io.BytesIO(read_file(weights, MAX_BYTES)), weights_only=True, map_location=device)
            for k, (name, (shape, _)) in enumerate(CONVOLUTIONS.items()):
                shapes = [state[f"{name}.{part}"].shape for part in ("weight", "bias")]
                if [*shapes, state[f"lin{k}.model.1.weight"].shape] != [shape, shape[:1], (1, shape[0], 1, 1)]:
                    raise ValueError(f"{name} has another shape")
        except Exception as error:  # torch.load raises many kinds for damaged files
            raise StoryganError(f"{weights}: {reason(error)}: install {PACKAGE} again") from error
        self.state = {name: value.float() for name, value in state.items()}
        self.shift, self.scale = (torch.tensor(values, device=device).view(3, 1, 1) for values in (SHIFT, SCALE))

    @torch.no_grad()
    def features(self, frames: Tensor) -> list[Tensor]:
        """Compute the features of each layer, of unit length at each pixel: (B, 3, H, W) in [-1, 1] -> (B, C, h, w)."""
        x, found = (frames - self.shift) / self.scale, []
        for k, (name, (_, padding)) in enumerate(CONVOLUTIONS.items()):
            if k in (1, 2):
                x = blur_pool(F.max_pool2d(x, 3, stride=1))
            x = F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], padding=padding)
            x = F.relu(blur_pool(x) if k == 0 else x)
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    @torch.no_grad()
    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Compute the distance (B,) of frames by their features: weighted squared differences, summed over layers."""
        weights = (self.state[f"lin{k}.model.1.weight"] for k in range(len(a)))
        layers = zip(a, b, weights, strict=True)
        return torch.stack([((x - y).square() * weight).sum(1).mean((1, 2)) for x, y, weight in layers]).sum(0)


def blur_pool(x: Tensor) -> Tensor:
    """Blur with the 3x3 binomial filter and take every second pixel, after padding by 2 mirrored pixels."""
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, [2] * 4, mode="reflect"), 2, stride=1), 2)


def measure_st_lpips(pool: FramePool, device: torch.device | None = None) -> tuple[dict[str, PerStory], str]:
    """Compute `st_lpips` with the installed weights, and a note; no value without them, or of very small frames."""
    weights = find_weights()
    if pool.frames.shape[1] < MIN_SIZE:
        return {}, f"no {ST_LPIPS}: it needs frames of {MIN_SIZE}x{MIN_SIZE} pixels"
    if weights is None:
        return {}, f"no {ST_LPIPS}, which needs the weights in {PACKAGE}: pip install 'storygan[lpips]'"
    note = f"{ST_LPIPS}: the first {MAX_STORIES} stories, or all if there are fewer"
    return st_lpips(pool, ShiftTolerantLPIPS(weights, device), device), note


def st_lpips(pool: FramePool, network: ShiftTolerantLPIPS, device: torch.device | None = None) -> dict[str, PerStory]:
    """Compute the mean distance from the real frames, by method; undefined beyond the first MAX_STORIES stories."""
    N, T = pool.index["real_frames"].shape
    found = {method: np.zeros((N, T)) for method in pool.index}
    for start in tqdm(range(0, min(N, MAX_STORIES), BATCH), desc="ST-LPIPS", unit="batch"):
        part = slice(start, min(start + BATCH, MAX_STORIES))
        methods = np.stack([index[part] for index in pool.index.values()])
        needed, where = np.unique(methods, return_inverse=True)
        where = where.reshape(len(methods), -1)
        x = torch.from_numpy(pool.frames[needed]).movedim(-1, 1).float().to(device) / 127.5 - 1
        features = network.features(x)
        real = [layer[where[list(pool.index).index("real_frames")]] for layer in features]
        for method, rows in zip(pool.index, where, strict=True):
            values = network.distance([layer[rows] for layer in features], real)
            found[method][part] = values.cpu().numpy().reshape(-1, T)
    measured = np.arange(N) < MAX_STORIES
    return {method: PerStory(values.sum(1), np.where(measured, float(T), 0.0)) for method, values in found.items()}
