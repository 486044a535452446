"""The nuisance columns of CLEVR-SV: camera and light jitter, the yaw of cubes towards the camera, foreground masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from storygan.clevr.geometry import HEIGHT, WIDTH, Camera
from storygan.data.clevr.scene import CAMERA_JITTER, LIGHT_JITTER, Scene
from storygan.data.images import encode_png
from storygan.data.nuisance import normal_values
from storygan.data.schema import NuisanceColumns

COLUMNS = NuisanceColumns(
    story=tuple(f"{thing} {axis}" for thing in ("camera", "key light", "fill light", "back light") for axis in "xyz"),
    frame=("cube yaw, cosine", "cube yaw, sine"),
    foreground=True,
)
SYMMETRY = 4
"""A quarter turn leaves a cube the same, so the yaw is multiplied by this."""


def nuisance_fields(scene: Scene, seed: int, number: int, size: int) -> dict[str, Any]:
    """Return the three columns of story (seed, number) as fields of `Story`; masks are size x size."""
    masks = foreground_masks(scene, size)
    return {
        "story_nuisance": story_nuisance(scene),
        "frame_nuisance": frame_nuisance(scene, np.random.default_rng([seed, number, 2])),
        "foreground": [encode_png(Image.fromarray(mask)) for mask in masks],
    }


def story_nuisance(scene: Scene) -> list[float]:
    """Return 12 standard normal values: jitter of camera, key, fill and back light, x, y and z each."""
    limits = np.repeat([CAMERA_JITTER, LIGHT_JITTER], [3, 9])
    jitter = np.array([*scene.camera, *scene.key, *scene.fill, *scene.back])
    return normal_values((jitter / limits + 1) / 2)


def frame_nuisance(scene: Scene, rng: np.random.Generator) -> list[list[float | None]]:
    """Return a pair of standard normal values for each of T objects, None twice where it is no cube.

    The direction of a pair is SYMMETRY times the yaw, its radius is a Rayleigh variable from `rng`.
    """
    angles, radii = SYMMETRY * yaw_from_camera(scene), rng.rayleigh(size=len(scene.objects))
    pairs = (radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)).astype(np.float32).tolist()
    return [pair if thing.shape == "cube" else [None, None] for pair, thing in zip(pairs, scene.objects, strict=True)]


def yaw_from_camera(scene: Scene) -> np.ndarray:
    """Return the yaw of T objects from the camera's line of sight to each: radians about z (T,)."""
    x, y, _ = Camera(scene.camera).position
    return np.array(scene.rotations) - np.arctan2([o.y - y for o in scene.objects], [o.x - x for o in scene.objects])


def foreground_masks(scene: Scene, size: int) -> np.ndarray:
    """Return bool (T, size, size): where frame t shows one of objects 0 to t, sampled from 320x240 pixels."""
    rows, columns = (((np.arange(size) + 0.5) * n / size).astype(int) for n in (HEIGHT, WIDTH))
    single = [
        replace(scene, objects=(thing,), rotations=(rotation,)).mask()[np.ix_(rows, columns)] >= 0
        for thing, rotation in zip(scene.objects, scene.rotations, strict=True)
    ]
    return np.logical_or.accumulate(single)
