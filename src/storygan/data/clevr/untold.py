"""What the frames of rendered CLEVR-SV stories show and no sentence tells, which their ids name: where camera and
lights strayed, how each cube is turned as the camera sees it, and which pixels show an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storygan.data.clevr.camera import Camera
from storygan.data.clevr.render import scene_of
from storygan.data.clevr.scene import CAMERA_JITTER, LIGHT_JITTER, Scene
from storygan.data.clevr.visibility import HEIGHT, WIDTH
from storygan.data.dataset import StoryDataset
from storygan.text.clevr import format_sentence
from storygan.types import UsageError

REACH = np.repeat([CAMERA_JITTER, LIGHT_JITTER], [3, 9])
"""Scene units: of camera, key, fill and back light, x, y and z each."""
QUARTERS = 4
"""A cube turned by a quarter is the same cube."""


@dataclass(frozen=True)
class Untold:
    """Of N stories of T objects."""

    strayed: np.ndarray
    """(N, 12) in (-1, 1): of camera, key, fill and back light, x, y and z each, of how far they may."""
    turns: np.ndarray
    """(N, T, 2) float32, cosine and sine of an object's turn from the camera's line of sight to it, a quarter being the
    whole circle: what a cube looks like, wherever it stands."""
    cubes: np.ndarray
    """(N, T) bool: the objects that show a turn."""


def untold(dataset: StoryDataset) -> Untold:
    """Of the stories of a data set, which `storygan data render-clevr` rendered.

    Raises:
        UsageError: another program made a story, or its sentences have been changed.
    """
    scenes = [_scene(story_id, told) for story_id, told in zip(dataset.story_ids, dataset.sentences, strict=True)]
    angles = QUARTERS * np.array([_seen_turns(scene) for scene in scenes])
    return Untold(
        np.array([[*s.camera, *s.key, *s.fill, *s.back] for s in scenes]) / REACH,
        np.stack([np.cos(angles), np.sin(angles)], -1).astype(np.float32),
        np.array([[thing.shape == "cube" for thing in s.objects] for s in scenes]),
    )


def shown_objects(dataset: StoryDataset) -> np.ndarray:
    """Which object each pixel of the N last frames shows, from 0; -1 is the stage: (N, size, size) int8.

    Raises:
        UsageError: as `untold`.
    """
    at = [((np.arange(dataset.size) + 0.5) * n / dataset.size).astype(int) for n in (HEIGHT, WIDTH)]
    scenes = (_scene(story_id, told) for story_id, told in zip(dataset.story_ids, dataset.sentences, strict=True))
    return np.stack([scene.mask()[np.ix_(*at)] for scene in scenes])


def _seen_turns(scene: Scene) -> np.ndarray:
    """How the T objects are turned, from the camera's line of sight to each (radians about z)."""
    x, y, _ = Camera(scene.camera).position
    return np.array(scene.rotations) - np.arctan2([o.y - y for o in scene.objects], [o.x - x for o in scene.objects])


def _scene(story_id: str, sentences: list[str]) -> Scene:
    """The scene that a story shows; UsageError where it is not one of ours."""
    scene = scene_of(story_id, len(sentences))
    if scene is None or [format_sentence(thing) for thing in scene.objects] != sentences:
        raise UsageError(
            f"story {story_id!r} is not as `storygan data render-clevr` makes it, so its camera, lights and turns "
            "are not known: take stories of that command, or go without coupled_noise, object_weight and --turns"
        )
    return scene
