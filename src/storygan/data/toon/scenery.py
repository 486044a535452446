"""Draw the backgrounds of Toon-SV: eight places under six skies."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from storygan.data.toon.sprites import transformed

HORIZON = 0.55
SKY = {  # colours at the top and at the horizon
    "sunny": ("#4FB3F0", "#BDE6FA"),
    "cloudy": ("#9FB2BF", "#D5DEE3"),
    "rain": ("#5F7383", "#93A5B1"),
    "snow": ("#B3BFCC", "#E3E9EF"),
    "evening": ("#E2587A", "#FDBE5B"),
    "night": ("#10163F", "#2D3A78"),
}
LIGHT = {"rain": (0.82, 0.86, 0.92), "evening": (1.0, 0.86, 0.74), "night": (0.55, 0.6, 0.85)}  # on red, green, blue
GROUND = {
    "meadow": ("#8BD450", "#6DBB3A"),
    "forest": ("#3F7F3A", "#2F642F"),
    "beach": ("#F6DE9C", "#EBCB7E"),
    "snowy field": ("#FFFFFF", "#E4EEF8"),
    "desert": ("#F0A24B", "#DD8735"),
    "village": ("#B9B4AE", "#9C9791"),
    "farm": ("#A8743F", "#8E5D2E"),
    "living room": ("#B97A4B", "#9E6238"),
}
WINDOW = (0.33, 0.06, 0.67, 0.40)  # of the living room: left, top, right, bottom
Boxes = list[tuple[str, float, float, float]]  # sprite, middle x, lower y and longer side, in widths of the frame


def background(place: str, sky: str, rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a place under a sky, RGB size x size. The same `rng` state gives the same layout under any sky."""
    picture = Image.new("RGB", (size, size))
    sky_seed, place_seed = rng.integers(2**31, size=2)
    sky_image = _sky(sky, np.random.default_rng(sky_seed), size)
    rng = np.random.default_rng(place_seed)
    light = LIGHT.get(sky, (1.0, 1.0, 1.0))
    if place == "living room":
        picture.paste("#E9C6A8", (0, 0, size, size))
        _ground(picture, place)
        _put(picture, _SCENERY[place](rng))
        picture = scale_colours(picture, light)
        left, top, right, bottom = (round(edge * size) for edge in WINDOW)
        draw = ImageDraw.Draw(picture)
        frame = max(1, round(0.03 * size))
        draw.rectangle((left - frame, top - frame, right + frame - 1, bottom + frame - 1), fill="#6B4226")
        view = sky_image.resize((right - left, right - left), Image.Resampling.BOX)
        picture.paste(_weather(view, sky, rng).crop((0, 0, right - left, bottom - top)), (left, top))
        return picture
    ground = Image.new("RGBA", (size, size))
    _ground(ground, place)
    _put(ground, _SCENERY[place](rng))
    lit_ground = scale_colours(ground.convert("RGB"), light)
    picture.paste(sky_image)
    picture.paste(lit_ground, (0, 0), ground.getchannel("A"))
    return _weather(picture, sky, rng)


def scale_colours(picture: Image.Image, factors: tuple[float, float, float]) -> Image.Image:
    """Multiply the red, green and blue of an RGB picture."""
    if factors == (1.0, 1.0, 1.0):
        return picture
    return picture.point(_table(factors))


@cache
def _table(factors: tuple[float, float, float]) -> list[int]:
    return [round(value * factor) for factor in factors for value in range(256)]


def _weather(picture: Image.Image, sky: str, rng: np.random.Generator) -> Image.Image:
    """Draw rain or snow into a picture, where the sky has it, and return it."""
    size, draw = picture.width, ImageDraw.Draw(picture)
    if sky == "rain":
        for x, y in rng.uniform(0, 1, (30, 2)) * size:
            draw.line((x, y, x - 0.03 * size, y + 0.09 * size), fill="#CFE6F7", width=max(1, size // 64))
    if sky == "snow":
        r = max(0.007 * size, 0.5)
        for x, y in rng.uniform(0, 1, (34, 2)) * size:
            draw.ellipse((x - r, y - r, x + r, y + r), fill="#FFFFFF", outline="#C9D6E4" if size >= 128 else None)
    return picture


def _sky(sky: str, rng: np.random.Generator, size: int) -> Image.Image:
    top, low = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in SKY[sky])
    part = np.minimum(np.floor(np.linspace(0, 1, size) / HORIZON * 8) / 8, 1)[:, None]  # 8 bands
    rows = (top + (low - top) * part).round().astype(np.uint8)
    picture = Image.fromarray(np.repeat(rows[:, None], size, axis=1))
    x = rng.uniform(0.15, 0.85)
    stars = rng.uniform(0, 1, (16, 2))
    if sky == "sunny":
        _put(picture, [("sun", x, 0.27, 0.26)])
    if sky == "evening":
        r, cx, cy = 0.11 * size, x * size, 0.38 * size
        ImageDraw.Draw(picture).ellipse((cx - r, cy - r, cx + r, cy + r), fill="#FFF0A0")
    if sky == "night":
        draw, r = ImageDraw.Draw(picture), 0.003 * size
        for sx, sy in stars * (size, 0.5 * size):
            draw.ellipse((sx - r, sy - r, sx + r, sy + r), fill="#FFFFFF")
        _put(picture, [("moon", x, 0.25, 0.22)])
    if sky in ("cloudy", "rain", "snow"):
        shift = rng.uniform(-0.1, 0.1)
        clouds: Boxes = [("cloud", 0.2 + shift, 0.27, 0.3), ("cloud", 0.8 + shift, 0.25, 0.32)]
        _put(picture, [*clouds, ("cloud", 0.5 + shift, 0.21, 0.34)])
        if sky == "rain":
            return scale_colours(picture, (0.75, 0.78, 0.82))
    return picture


def _ground(picture: Image.Image, place: str) -> None:
    size, draw = picture.width, ImageDraw.Draw(picture)
    far, near = GROUND[place]
    horizon = round(HORIZON * size)
    if place == "beach":
        draw.rectangle((0, horizon - 0.1 * size, size, size), fill="#2F8FCB")
        draw.rectangle((0, horizon + 0.04 * size, size, horizon + 0.07 * size), fill="#E9F6FB")
        horizon += round(0.07 * size)
    if place == "desert":
        draw.ellipse((-0.3 * size, 0.42 * size, 0.65 * size, 1.2 * size), fill="#E5943E")
        draw.ellipse((0.4 * size, 0.45 * size, 1.4 * size, 1.2 * size), fill="#EDA94F")
    if place == "meadow":
        draw.ellipse((-0.4 * size, 0.42 * size, 0.7 * size, 1.1 * size), fill="#A5DE6B")
        draw.ellipse((0.4 * size, 0.46 * size, 1.5 * size, 1.1 * size), fill="#99D860")
    draw.rectangle((0, horizon, size, size), fill=far)
    draw.rectangle((0, 0.8 * size, size, size), fill=near)
    if place == "farm":
        for y in np.arange(0.6, 1, 0.1):
            draw.line((0, y * size, size, y * size), fill="#6F4522", width=max(1, size // 64))
    if place == "living room":
        draw.rectangle((0, horizon - 0.03 * size, size, horizon), fill="#FFFFFF")


def _put(picture: Image.Image, boxes: Boxes) -> None:
    """Paste sprites into an RGB or RGBA picture, in order."""
    size = picture.width
    for name, x, y, height in boxes:
        image = transformed(name, "", height * size)
        at = (round(x * size - image.width / 2), round(y * size - image.height))
        if picture.mode == "RGBA":
            layer = Image.new("RGBA", picture.size)
            layer.paste(image, at)
            picture.alpha_composite(layer)
        else:
            picture.paste(image, at, image)


def _row(rng: np.random.Generator, name: str, count: int, y: float, height: float) -> Boxes:
    """Place `count` sprites side by side, with a little variation of x and size."""
    x = (np.arange(count) + 0.5) / count
    shift = rng.uniform(-0.25, 0.25, count) / count
    scale = rng.uniform(0.9, 1.1, count)
    return [(name, float(at), y, float(height * s)) for at, s in zip(x + shift, scale, strict=True)]


def _meadow(rng: np.random.Generator) -> Boxes:
    side = 0.16 if rng.random() < 0.5 else 0.84
    flowers = _row(rng, "tulip", 4, 0.66, 0.13) + _row(rng, "daisy", 4, 0.99, 0.12)
    return [("tree", side, 0.62, 0.46), *flowers]


def _forest(rng: np.random.Generator) -> Boxes:
    return [
        *_row(rng, "pine", 6, 0.6, 0.5),
        *_row(rng, "tree", 3, 0.66, 0.56),
        *_row(rng, "mushroom", 3, 0.97, 0.16),
    ]


def _beach(rng: np.random.Generator) -> Boxes:
    palm = 0.12 if rng.random() < 0.5 else 0.88
    return [
        ("sailboat", float(rng.uniform(0.35, 0.65)), 0.57, 0.26),
        ("palm", palm, 0.72, 0.62),
        ("crab", 1 - palm, 0.96, 0.15),
    ]


def _snowy_field(rng: np.random.Generator) -> Boxes:
    side = 0.14 if rng.random() < 0.5 else 0.86
    hills = [("mountain", x, 0.62, 0.42) for x in (0.3, 0.7)]
    return [*hills, ("snowman", side, 0.74, 0.36)]


def _desert(rng: np.random.Generator) -> Boxes:
    return [*_row(rng, "cactus", 3, 0.66, 0.4), ("rock", float(rng.uniform(0.2, 0.8)), 0.98, 0.14)]


def _village(rng: np.random.Generator) -> Boxes:
    return [*_row(rng, "house", 4, 0.6, 0.42), ("fountain", float(rng.uniform(0.4, 0.6)), 0.74, 0.26)]


def _farm(rng: np.random.Generator) -> Boxes:
    side = float(rng.choice([0.16, 0.84]))
    return [
        *_row(rng, "wheat", 9, 0.6, 0.26),
        ("tractor", side, 0.68, 0.36),
        ("cow", 1 - side, 0.68, 0.3),
    ]


def _living_room(rng: np.random.Generator) -> Boxes:
    side = 0.14 if rng.random() < 0.5 else 0.86
    return [("picture", side, 0.3, 0.26), ("sofa", 0.5, 0.74, 0.5), ("plant", 1 - side, 0.66, 0.42)]


_SCENERY = {
    "meadow": _meadow,
    "forest": _forest,
    "beach": _beach,
    "snowy field": _snowy_field,
    "desert": _desert,
    "village": _village,
    "farm": _farm,
    "living room": _living_room,
}
