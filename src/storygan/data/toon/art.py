"""Draw the scenes of a story: background, characters, things held or on the ground, weather."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from storygan.data.toon.scenery import LIGHT, background, scale_colours
from storygan.data.toon.sprites import transformed
from storygan.data.toon.world import CHARACTERS, GAPS, SLOTS, THINGS, Actor, Scene

CHARACTER_SIZE, THING_SIZE = 0.54, 0.22  # longer sides, in widths of the frame
CHARACTER_BASELINE, THING_BASELINE = 0.93, 0.985  # lower edges
_HELD_HIGH = ("kite", "balloon", "umbrella")  # at the head; the others before the body


Picture = tuple[Image.Image, Image.Image]
"""A frame, RGB, and its foreground mask, one bit a pixel."""


def draw_story(scenes: Sequence[Scene], rng: np.random.Generator, size: int = 64) -> list[Picture]:
    """Draw a size x size frame per scene; scenery and the height of each character stay the same through the story."""
    seed = int(rng.integers(2**31))
    heights = dict(zip(CHARACTERS, rng.uniform(0.94, 1.06, len(CHARACTERS)), strict=True))
    backgrounds: dict[str, Image.Image] = {}
    frames = []
    for scene in scenes:
        if scene.sky not in backgrounds:
            backgrounds[scene.sky] = background(scene.place, scene.sky, np.random.default_rng(seed), size)
        frames.append(draw_scene(scene, backgrounds[scene.sky], heights, rng))
    return frames


def draw_scene(scene: Scene, background: Image.Image, heights: dict[str, float], rng: np.random.Generator) -> Picture:
    """Draw a frame over its background.

    Args:
        scene: the scene.
        background: RGB, size x size.
        heights: scale of each species.
        rng: jitters poses and positions a little.
    """
    size = background.width
    jitter = dict(zip(CHARACTERS, rng.normal(0, 1, (len(CHARACTERS), 3)).clip(-2, 2), strict=True))
    angles = dict(zip(THINGS, rng.normal(0, 4, len(THINGS)), strict=True))
    layer, front = Image.new("RGBA", (size, size)), Image.new("RGBA", (size, size))
    for actor in sorted(scene.actors, key=lambda actor: actor.pose == "sleep"):
        _draw_actor(layer, front, actor, heights[actor.species], jitter[actor.species])
    for thing, gap in scene.ground:
        _paste(front, transformed(thing, "", THING_SIZE * size, float(angles[thing])), GAPS[gap], THING_BASELINE)
    layer.alpha_composite(front)
    factors = np.sqrt(LIGHT.get(scene.sky, (1.0, 1.0, 1.0)))  # characters stay brighter than the scenery
    picture = background.copy()
    alpha = layer.getchannel("A")
    picture.paste(scale_colours(layer.convert("RGB"), tuple(factors.tolist())), (0, 0), alpha)
    return picture, alpha.point(lambda covered: 255 * (covered > 127), "1")


def _draw_actor(layer: Image.Image, front: Image.Image, actor: Actor, height: float, jitter: np.ndarray) -> None:
    size = layer.width
    x, y = SLOTS[actor.slot] + 0.008 * jitter[0], CHARACTER_BASELINE + 0.006 * jitter[1]
    flip = actor.facing < 0
    if actor.pose == "sleep":
        x = min(max(x, 0.27), 0.73)
        image = transformed(actor.species, "sleep", 0.92 * CHARACTER_SIZE * height * size, -80 if flip else 80, flip)
        _paste(layer, image, x, THING_BASELINE + 0.01)
        _paste(front, transformed("zzz", "", 0.24 * size), x + 0.04 * actor.facing, CHARACTER_BASELINE - 0.3)
        return
    pose = "hold" if actor.holds and actor.pose != "cheer" else actor.pose
    if actor.pose == "cheer":
        y -= 0.05
    image = transformed(actor.species, pose, CHARACTER_SIZE * height * size, float(2 * jitter[2]), flip)
    _paste(layer, image, x, y)
    if actor.holds:
        high = actor.holds in _HELD_HIGH or actor.pose == "cheer"
        dx, dy = (0.18, 0.28) if high else (0.14, 0.11)
        _paste(front, transformed(actor.holds, "", THING_SIZE * size, flip=flip), x + dx * actor.facing, y - dy)


def _paste(layer: Image.Image, image: Image.Image, x: float, y: float) -> None:
    """Paste an RGBA sprite with the middle of its lower edge at (x, y), in widths of the layer; the rest is cropped."""
    at = (round(x * layer.width - image.width / 2), round(y * layer.width - image.height))
    over = Image.new("RGBA", layer.size)
    over.paste(image, at)
    layer.alpha_composite(over)
