"""Sample CLEVR-SV scenes without Blender: objects, positions, and the jitter of camera and lights.

Rules and numbers: docs/data.md, "How its scenes are made", after CLEVR (Johnson et al., CVPR 2017). A scene depends on
(seed, story) alone. x and y are rounded to the two decimals of a sentence before they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storygan.clevr.geometry import Camera, visible_pixels
from storygan.errors import UsageError
from storygan.text.clevr import COLOURS, LIMIT, MATERIALS, SHAPES, SIZES, ClevrObject
from storygan.text.placement import MIN_VISIBLE, fits, mask_of

MAX_TRIES = 50  # positions tried for one object before the scene starts over
CAMERA_JITTER, LIGHT_JITTER = 0.5, 1.0  # uniform in +-this, on each axis
MAX_OBJECTS = 6

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """The scene of one story: objects, their rotations about z (radians), and the jitter of camera and lights."""

    objects: tuple[ClevrObject, ...]
    rotations: tuple[float, ...]
    camera: Vector = (0.0, 0.0, 0.0)
    key: Vector = (0.0, 0.0, 0.0)
    fill: Vector = (0.0, 0.0, 0.0)
    back: Vector = (0.0, 0.0, 0.0)

    def mask(self) -> np.ndarray:
        """Return the index of the object at each pixel of the last frame, -1 for the stage: (240, 320) int8."""
        return mask_of(self.objects, self.rotations, Camera(self.camera))


def sample_scene(seed: int, story: int, T: int = 4) -> Scene:
    """Sample the scene of T objects of (seed, story). Raises UsageError unless T is 1 to 6 and both are 0 or more."""
    if not 1 <= T <= MAX_OBJECTS:
        raise UsageError(f"{T} objects do not fit a CLEVR-SV scene: use 1 to {MAX_OBJECTS} frames")
    if seed < 0 or story < 0:
        raise UsageError(f"seed {seed}, story {story}: both must be 0 or more")
    rng = np.random.default_rng([seed, story])
    camera, key, fill, back = (
        _jitter(rng, limit) for limit in (CAMERA_JITTER, LIGHT_JITTER, LIGHT_JITTER, LIGHT_JITTER)
    )
    while True:
        objects = _place(rng, T)
        if objects is None:
            continue
        rotations = tuple(rng.uniform(0, 2 * np.pi, T).tolist())
        scene = Scene(objects, rotations, camera, key, fill, back)
        if visible_pixels(scene.mask(), T).min() >= MIN_VISIBLE:
            return scene


def _jitter(rng: np.random.Generator, limit: float) -> Vector:
    x, y, z = rng.uniform(-limit, limit, 3).tolist()
    return x, y, z


def _place(rng: np.random.Generator, count: int) -> tuple[ClevrObject, ...] | None:
    """Place objects one after another. Returns None where one does not fit after MAX_TRIES."""
    placed: list[ClevrObject] = []
    for _ in range(count):
        size, shape, colour, material = (
            values[rng.integers(len(values))] for values in (SIZES, SHAPES, COLOURS, MATERIALS)
        )
        for _ in range(MAX_TRIES):
            x, y = (round(value, 2) + 0.0 for value in rng.uniform(-LIMIT, LIMIT, 2).tolist())
            thing = ClevrObject(shape, colour, material, size, x, y)
            if all(fits(thing, other) for other in placed):
                placed.append(thing)
                break
        else:
            return None
    return tuple(placed)
