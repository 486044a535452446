"""Faults planted in real CLEVR-SV frames, by how much a person minds them. `distance_faults.py` measures them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from storygan.clevr.constants import COLOURS
from storygan.data.clevr.scene import Scene, sample_scene
from storygan.data.dataset import StoryDataset

ROUNDING = 1.5
"""Pixels: how far a cube's edges and corners are smoothed."""


@dataclass(frozen=True)
class Stories:
    """N stories with the exact place of each object."""

    frames: np.ndarray
    """(N, T, 64, 64, 3) uint8."""
    scenes: list[Scene]
    cover: np.ndarray
    """(N, T, T, 64, 64) float in [0, 1]: the part of each pixel of frame t that shows object k."""


def read_faultless(dataset: StoryDataset, story_idx: range) -> Stories:
    """Read stories that `storygan data render-clevr` rendered, and cast rays for their objects."""
    scenes, covers = [], []
    for n in story_idx:
        seed, number = map(int, dataset.story_ids[n].removeprefix("clevr-").split("-"))
        scene = sample_scene(seed, number, dataset.T)
        scenes.append(scene)
        covers.append([_cover(scene, t, dataset.T) for t in range(dataset.T)])
    return Stories(dataset.batch(story_idx), scenes, np.array(covers))


def _cover(scene: Scene, t: int, T: int) -> np.ndarray:
    shown = replace(scene, objects=scene.objects[: t + 1], rotations=scene.rotations[: t + 1])
    masks = (shown.mask()[None] == np.arange(T)[:, None, None]).astype(np.float32)
    return F.interpolate(torch.from_numpy(masks)[None], (64, 64), mode="area")[0].numpy()


Fault = Callable[[Stories, np.random.Generator], np.ndarray]
"""Stories -> their frames with the fault, (N, T, 64, 64, 3) uint8."""


def to_uint8(x: np.ndarray) -> np.ndarray:
    return x.round().clip(0, 255).astype(np.uint8)


def grain(sigma: float) -> Fault:
    """Add normal noise of `sigma` levels of 255."""
    return lambda stories, rng: to_uint8(stories.frames + rng.normal(0, sigma, stories.frames.shape))


def blur(sigma: float) -> Fault:
    """Blur with a Gaussian of `sigma` pixels."""
    sigmas = (0, 0, sigma, sigma, 0)
    return lambda stories, _: to_uint8(gaussian_filter(stories.frames.astype(np.float32), sigmas))


def jpeg(quality: int) -> Fault:
    """Store each frame as JPEG, with full resolution of colour."""
    return lambda stories, _: np.array([[_jpeg(frame, quality) for frame in story] for story in stories.frames])


def _jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(file))


def missing_object(stories: Stories, _: np.random.Generator) -> np.ndarray:
    """Show frames 3 to T without the object of the sentence before, its shadow left out too."""
    frames = stories.frames.copy()
    for t in range(2, frames.shape[1]):
        before, after = (stories.frames[:, k].astype(np.int16) for k in (t - 2, t - 1))
        changed = (np.abs(after - before).max(-1) > 2) & (stories.cover[:, t, t] == 0)
        frames[:, t][changed] = stories.frames[:, t - 2][changed]
    return frames


def wrong_colour(stories: Stories, rng: np.random.Generator) -> np.ndarray:
    """Show the new object of each frame in another colour: its linear values times the ratio of the two colours."""
    frames = stories.frames / 255.0
    linear = np.where(frames <= 0.04045, frames / 12.92, ((frames + 0.055) / 1.055) ** 2.4)
    for n, scene in enumerate(stories.scenes):
        for t, thing in enumerate(scene.objects):
            other = str(rng.choice([name for name in COLOURS if name != thing.colour]))
            change = np.divide(COLOURS[other], COLOURS[thing.colour]) - 1
            cover = stories.cover[n, t, t][..., None]
            inside = _spread(linear[n, t], (cover[..., 0] > 0.99).astype(float), 0.7)
            linear[n, t] += cover * np.where(cover > 0.99, linear[n, t], inside) * change
    linear = linear.clip(0, 1)
    return to_uint8(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def rounded_cubes(stories: Stories, _: np.random.Generator) -> np.ndarray:
    """Round the corners and the inner edges of all cubes."""
    frames = stories.frames.astype(np.float32)
    for n, scene in enumerate(stories.scenes):
        for t in range(frames.shape[1]):
            for k, thing in enumerate(scene.objects[: t + 1]):
                if thing.shape == "cube":
                    frames[n, t] = _rounded(frames[n, t], stories.cover[n, t, k])
    return to_uint8(frames)


def _rounded(frame: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Blur inside the object, and fill the corners that the rounded outline uncovers with what is around."""
    outline = (3 * (gaussian_filter(cover, ROUNDING) - 0.5) + 0.5).clip(0, 1)
    kept = np.minimum(outline, cover)[..., None]
    rounded = kept * _spread(frame, cover, ROUNDING) + (1 - kept) * _spread(frame, 1 - cover, ROUNDING)
    return np.where(cover[..., None] > 0, cover[..., None] * rounded + (1 - cover[..., None]) * frame, frame)


def _spread(frame: np.ndarray, where: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a frame (H, W, 3) with the weights `where` (H, W) only."""
    weight = gaussian_filter(where, sigma)[..., None]
    return gaussian_filter(frame * where[..., None], (sigma, sigma, 0)) / weight.clip(1e-6)


def previous_frame(stories: Stories, _: np.random.Generator) -> np.ndarray:
    """Show the frame before; frame 1 stays."""
    return stories.frames[:, [0, *range(stories.frames.shape[1] - 1)]]


FAULTS: dict[str, tuple[int, Fault]] = {
    "grain of half a level": (0, grain(0.5)),
    "grain of one level": (0, grain(1)),
    "JPEG, quality 95": (0, jpeg(95)),
    "blur, sigma 0.5": (1, blur(0.5)),
    "blur, sigma 1": (2, blur(1)),
    "JPEG, quality 50": (2, jpeg(50)),
    "grain of eight levels": (2, grain(8)),
    "rounded cubes": (3, rounded_cubes),
    "wrong colour": (3, wrong_colour),
    "missing object": (3, missing_object),
    "previous real frame": (3, previous_frame),
}
"""By name: how much a person minds it, and the fault. 0: not seen; 1: seen side by side; 2: seen at once; 3: another
picture than asked for."""
