"""Draws the scenes of a story: background, characters, what they hold, what lies on the ground, weather."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from storygan.data.toon.scenery import LIGHT, background, light
from storygan.data.toon.sprites import posed
from storygan.data.toon.world import CHARACTERS, GAPS, SLOTS, THINGS, Actor, Scene

TALL, BIG = 0.54, 0.22  # longer sides of a character and of a thing, in widths of the frame
FOOT, FRONT = 0.93, 0.985  # where characters stand and where things lie
_HELD_HIGH = ("kite", "balloon", "umbrella")  # at the head; the rest before the body


Picture = tuple[Image.Image, Image.Image]
"""A frame, RGB, and its foreground mask, of one bit a pixel."""


def draw_story(scenes: Sequence[Scene], rng: np.random.Generator, size: int = 64) -> list[Picture]:
    """Draw size x size pixels a scene; scenery and a character's height stay the same through the story."""
    seed = int(rng.integers(2**31))
    tall = dict(zip(CHARACTERS, rng.uniform(0.94, 1.06, len(CHARACTERS)), strict=True))
    grounds: dict[str, Image.Image] = {}
    frames = []
    for scene in scenes:
        if scene.sky not in grounds:
            grounds[scene.sky] = background(scene.place, scene.sky, np.random.default_rng(seed), size)
        frames.append(draw_scene(scene, grounds[scene.sky], tall, rng))
    return frames


def draw_scene(scene: Scene, ground: Image.Image, tall: dict[str, float], rng: np.random.Generator) -> Picture:
    """Draw a frame over its background; `tall` scales each species. Poses and places vary a little by `rng`."""
    size = ground.width
    jitter = dict(zip(CHARACTERS, rng.normal(0, 1, (len(CHARACTERS), 3)).clip(-2, 2), strict=True))
    turned = dict(zip(THINGS, rng.normal(0, 4, len(THINGS)), strict=True))
    layer, front = Image.new("RGBA", (size, size)), Image.new("RGBA", (size, size))
    for actor in sorted(scene.actors, key=lambda actor: actor.pose == "sleep"):
        _draw_actor(layer, front, actor, tall[actor.species], jitter[actor.species])
    for thing, gap in scene.ground:
        _paste(front, posed(thing, "", BIG * size, float(turned[thing])), GAPS[gap], FRONT)
    layer.alpha_composite(front)
    factors = np.sqrt(LIGHT.get(scene.sky, (1.0, 1.0, 1.0)))  # figures stay brighter than the scenery
    picture = ground.copy()
    alpha = layer.getchannel("A")
    picture.paste(light(layer.convert("RGB"), tuple(factors.tolist())), (0, 0), alpha)
    return picture, alpha.point(lambda covered: 255 * (covered > 127), "1")


def _draw_actor(layer: Image.Image, front: Image.Image, actor: Actor, tall: float, jitter: np.ndarray) -> None:
    size = layer.width
    x, foot = SLOTS[actor.slot] + 0.008 * jitter[0], FOOT + 0.006 * jitter[1]
    flip = actor.facing < 0
    if actor.pose == "sleep":
        x = min(max(x, 0.27), 0.73)
        image = posed(actor.species, "sleep", 0.92 * TALL * tall * size, -80 if flip else 80, flip)
        _paste(layer, image, x, FRONT + 0.01)
        _paste(front, posed("zzz", "", 0.24 * size), x + 0.04 * actor.facing, FOOT - 0.3)
        return
    pose = "hold" if actor.holds and actor.pose != "cheer" else actor.pose
    if actor.pose == "cheer":
        foot -= 0.05
    _paste(layer, posed(actor.species, pose, TALL * tall * size, float(2 * jitter[2]), flip), x, foot)
    if actor.holds:
        high = actor.holds in _HELD_HIGH or actor.pose == "cheer"
        at, up = (0.18, 0.28) if high else (0.14, 0.11)
        _paste(front, posed(actor.holds, "", BIG * size, flip=flip), x + at * actor.facing, foot - up)


def _paste(layer: Image.Image, image: Image.Image, x: float, foot: float) -> None:
    """An RGBA sprite by the middle of its lower edge, in widths of the layer; what falls outside is cut off."""
    at = (round(x * layer.width - image.width / 2), round(foot * layer.width - image.height))
    over = Image.new("RGBA", layer.size)
    over.paste(image, at)
    layer.alpha_composite(over)
