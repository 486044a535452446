"""Draw the scenes of a story: characters, things held and on the ground, before a background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from PIL import Image

from storygan.data.toon import sprites
from storygan.data.toon.scenery import LIGHT, Staging, background, scale_colours
from storygan.data.toon.shapes import UNITS, ellipse, moved, rasterise, resolution, rimmed
from storygan.data.toon.world import GAPS, SLOTS, Actor, Scene

BASELINE, GROUND = 240, 212
"""Of the characters' feet, and of the middle of things on the ground, in frame units."""
JUMP = 14
_ORIGIN = (128, 216)  # of a figure before it is moved: leaves room for all of it
_UNRIMMED = ("shadow", "hands", "string")
RIM = 2.6  # white, around figures
Picture = tuple[Image.Image, Image.Image]
"""A frame, RGB, and its foreground mask, one bit a pixel."""


def draw_story(scenes: Sequence[Scene], staging: Staging, size: int = 64) -> list[Picture]:
    """Draw a size x size frame per scene."""
    return [draw_scene(scene, staging, size) for scene in scenes]


def draw_scene(scene: Scene, staging: Staging, size: int = 64) -> Picture:
    """Draw a frame and its foreground mask. Scene and staging determine every pixel."""
    picture = background(scene.place, scene.sky, staging, size)
    shadows, layer = Image.new("RGBA", (size, size)), Image.new("RGBA", (size, size))
    for actor in sorted(scene.actors, key=lambda actor: actor.pose == "sleep"):
        _draw_actor(layer, shadows, actor, scene)
    for thing, gap in scene.ground:
        _paste(layer, ("lying", thing), GAPS[gap] * UNITS, GROUND)
    picture.paste(shadows, (0, 0), shadows)
    factors = LIGHT.get(scene.sky, (1.0, 1.0, 1.0))
    red, green, blue = (factor**0.15 for factor in factors)  # figures stay brighter than the scenery
    alpha = layer.getchannel("A")
    picture.paste(scale_colours(layer.convert("RGB"), (red, green, blue)), (0, 0), alpha)
    return picture, alpha.point(lambda covered: 255 * (covered > 127), "1")


def _draw_actor(layer: Image.Image, shadows: Image.Image, actor: Actor, scene: Scene) -> None:
    x, y, facing = SLOTS[actor.slot] * UNITS, BASELINE, actor.facing
    if actor.pose == "sleep":
        _paste(layer, ("asleep", actor.species), min(max(x, 76), UNITS - 76), y + 10, facing)
        _paste(layer, ("zzz",), x, 116)
        return
    _paste(shadows, ("shadow",), x, y - 2)
    cheers = actor.pose == "cheer"
    if cheers:
        y -= JUMP
    arms = _arms(actor, scene)
    walks = actor.pose == "walk" or (scene.event.kind == "enter" and actor.species in scene.event.subjects)
    legs = "walk" if walks else "apart" if cheers else "stand"
    _paste(layer, ("character", actor.species, arms, legs, "cheer" if cheers else ""), x, y, facing)
    if actor.holds:
        flies = actor.holds in sprites.IN_THE_AIR
        if actor.holds in ("kite", "balloon"):
            _paste(layer, ("string", actor.holds), x, y, facing)
        dx, dy = sprites.HELD[actor.holds if flies else "raise" if cheers else "hold"]
        _paste(layer, ("thing", actor.holds), x + dx * facing, y + dy, facing)
        if not flies:
            _paste(layer, ("hands", actor.species, arms), x, y, facing)
    if scene.event.kind == "find" and actor.species in scene.event.subjects:
        _paste(layer, ("surprise",), x + 36 * facing, 74)


def _arms(actor: Actor, scene: Scene) -> str:
    """Return the pose of the arms: that of the actor, or of what it does in the event."""
    flies = actor.holds in sprites.IN_THE_AIR
    if actor.holds and not flies:
        return {"cheer": "raise", "wave": "hold and wave"}.get(actor.pose, "hold")
    if flies and actor.pose != "cheer":
        return "wave"
    if actor.pose == "stand" and actor.species in scene.event.subjects:
        return {"give": "reach", "find": "point", "put_down": "point", "enter": "walk"}.get(scene.event.kind, "stand")
    return actor.pose


def _paste(layer: Image.Image, figure: tuple[str, ...], x: float, y: float, facing: int = 1) -> None:
    """Paste a figure with its origin at (x, y), in frame units; `facing` -1 mirrors it."""
    image, at = _figure(figure, x, y, facing, layer.width)
    layer.alpha_composite(image, at)


@lru_cache(maxsize=1500)
def _figure(figure: tuple[str, ...], x: float, y: float, facing: int, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return a figure with its origin at (x, y): its bounding box in the frame, and where that begins."""
    pixels = resolution(size)
    stamp, left, top = _stamp(figure, facing, pixels)
    large = Image.new("RGBA", (pixels, pixels))
    large.paste(
        stamp, (left + round((x - _ORIGIN[0]) / UNITS * pixels), top + round((y - _ORIGIN[1]) / UNITS * pixels))
    )
    image = large.reduce(pixels // size)
    box = image.getbbox() or (0, 0, 1, 1)
    return image.crop(box), box[:2]


@lru_cache(maxsize=500)
def _stamp(figure: tuple[str, ...], facing: int, pixels: int) -> tuple[Image.Image, int, int]:
    """Rasterise a figure with its origin at _ORIGIN: its bounding box, and where that begins."""
    if facing < 0:
        image, left, top = _stamp(figure, 1, pixels)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), pixels - left - image.width, top
    kind, *what = figure
    image = rasterise(moved(_FIGURES[kind](*what), *_ORIGIN), pixels)
    margin = round(4 * RIM / UNITS * pixels)
    left, top, right, bottom = image.getbbox() or (0, 0, 1, 1)
    left, top = left - margin, top - margin
    image = image.crop((left, top, right + margin, bottom + margin))
    return image if kind in _UNRIMMED else rimmed(image, RIM / UNITS * pixels), left, top


_FIGURES: dict[str, Callable[..., str]] = {
    "character": sprites.character,
    "asleep": sprites.asleep,
    "thing": sprites.thing,
    "lying": sprites.lying,
    "hands": sprites.hands,
    "string": sprites.string,
    "zzz": lambda: sprites.ZZZ,
    "surprise": lambda: sprites.SURPRISE,
    "shadow": lambda: ellipse(0, 0, 36, 9, "#1B153055", width=0),
}
