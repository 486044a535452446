"""Draw the backgrounds of Toon-SV: eight places of three composed sets each, six skies, three patterns of weather.

Scenery has soft colours and hardly any outline, so that the figures before it stand out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from storygan.data.toon.places import PLACES, WINDOWS
from storygan.data.toon.shapes import UNITS, box, disc, ellipse, line, moved, rasterise, shape

SETS, PATTERNS = 3, 3
"""Number of sets of a place, and of patterns of rain or snow."""
SKY = {  # colours at the top and at the horizon
    "sunny": ("#3FA9F5", "#C4ECFF"),
    "cloudy": ("#A9B8C4", "#DFE6EA"),
    "rain": ("#5C6F82", "#9DB0BF"),
    "snow": ("#7F8FBD", "#BCC8E6"),
    "evening": ("#D6487E", "#FFC65C"),
    "night": ("#0B1140", "#34438C"),
}
LIGHT = {"rain": (0.80, 0.85, 0.92), "evening": (1.0, 0.84, 0.72), "night": (0.54, 0.56, 0.82)}
"""Factors on the red, green and blue of the scenery."""


@dataclass(frozen=True)
class Staging:
    """What no sentence of a story describes: the set of its place, mirrored or not, and the pattern of rain or snow."""

    set: int = 0
    mirror: bool = False
    pattern: int = 0


def background(place: str, sky: str, staging: Staging, size: int) -> Image.Image:
    """Draw a place under a sky: RGB, size x size."""
    inside = place == "living room"  # the sky is seen through its window alone
    window = WINDOWS[staging.set]
    picture = _sky(sky, (UNITS - window if staging.mirror else window) if inside else 0, size).copy()
    scenery, weather = _lit(place, sky, staging.set, staging.mirror, size), _weather(sky, staging.pattern, inside, size)
    for layer in (weather, scenery) if inside else (scenery, weather):
        picture.paste(layer, (0, 0), layer)
    return picture


def scale_colours(picture: Image.Image, factors: tuple[float, float, float]) -> Image.Image:
    """Multiply the red, green and blue of an RGB picture."""
    if factors == (1.0, 1.0, 1.0):
        return picture
    return picture.point([round(value * factor) for factor in factors for value in range(256)])


@lru_cache(maxsize=300)
def _lit(place: str, sky: str, index: int, mirror: bool, size: int) -> Image.Image:
    """Return the scenery of a set in the light of a sky, RGBA."""
    scenery = _scenery(place, index, mirror, size)
    lit = scale_colours(scenery.convert("RGB"), LIGHT.get(sky, (1.0, 1.0, 1.0)))
    lit.putalpha(scenery.getchannel("A"))
    return lit


@lru_cache(maxsize=64)
def _scenery(place: str, index: int, mirror: bool, size: int) -> Image.Image:
    if mirror:
        return _scenery(place, index, False, size).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return rasterise(PLACES[place][index], size)


@lru_cache(maxsize=64)
def _sky(sky: str, window: float, size: int) -> Image.Image:
    """Return a sky; what is to be seen in it is in the middle of a window at x = `window`, or with 0 where it is."""
    top, low = SKY[sky]
    gradient = (
        f'<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="{top}"/>'
        f'<stop offset="0.6" stop-color="{low}"/></linearGradient></defs>'
    )
    middle, details = _SKY_DETAILS[sky]
    if window:
        details = moved(details, window - 0.75 * middle, 10, 0.75)
    return rasterise(gradient + box(0, 0, UNITS, UNITS, "url(#sky)") + details, size).convert("RGB")


@lru_cache(maxsize=24)
def _weather(sky: str, pattern: int, inside: bool, size: int) -> Image.Image:
    """Return a pattern of rain or snow, RGBA; `inside` it is denser, and under other skies empty."""
    points = _lattice(sky, pattern) if sky in _DROPS else []
    if inside:
        points = [(x / 2 + right, y / 2 + down) for x, y in points for right in (0, 128) for down in (0, 128)]
    return rasterise("".join(moved(_DROPS[sky], x, y) for x, y in points), size)


# ---- skies


def _cloud(x: float, y: float, scale: float, colour: str, shade: str) -> str:
    puffs = ((-26, 0, 16), (-8, -12, 20), (16, -6, 18), (32, 3, 13))

    def blob(dy: float, fill: str) -> str:
        return "".join(disc(px, py + dy, r, fill) for px, py, r in puffs) + box(-40, dy, 84, 16, fill, 8)

    return moved(blob(4, shade) + blob(0, colour), x, y, scale)


def _clouds(colour: str, shade: str) -> str:
    places = (38, 40, 1.05), (204, 36, 1.15), (122, 58, 0.95)
    return "".join(_cloud(*place, colour, shade) for place in places)


def _star(x: float, y: float, r: float) -> str:
    q = r * 0.3
    return shape(
        f"M{x} {y - r} L{x + q} {y - q} L{x + r} {y} L{x + q} {y + q} L{x} {y + r} L{x - q} {y + q} L{x - r} {y} "
        f"L{x - q} {y - q} Z",
        "#FFF6C8",
    )


_RAYS = "".join(moved(shape("M-6 -29 L0 -42 L6 -29 Z", "#FFC20E"), 0, 0, angle=45 * k) for k in range(8))
_STARS = [(20, 26, 8), (58, 60, 6), (84, 20, 7), (128, 42, 8), (138, 96, 6)]
_STARS += [(206, 78, 7), (236, 28, 8), (14, 92, 6), (94, 104, 6), (240, 112, 6)]
_SKY_DETAILS = {
    "sunny": (87, moved(_RAYS + disc(0, 0, 27, "#FFC20E") + disc(0, 0, 23, "#FFE94A"), 87, 44)),
    "cloudy": (204, _clouds("#F4F7F9", "#B4C0C9")),
    "rain": (204, _clouds("#75879A", "#536375")),
    "snow": (204, _clouds("#CBD4EC", "#98A5CC")),
    "evening": (87, disc(87, 84, 52, "#FF9A6B") + disc(87, 84, 40, "#FFE08A") + disc(87, 84, 33, "#FFF3B8")),
    "night": (
        184,
        "".join(_star(*star) for star in _STARS)
        + shape("M176 12 Q146 40 170 72 Q194 78 206 58 Q166 60 176 12 Z", "#FFE26A"),
    ),
}
"""By sky: the middle of what is to be seen in it, and its shapes."""


def _lattice(sky: str, pattern: int) -> list[tuple[float, float]]:
    """Return the places of the drops or flakes of a pattern: they look scattered, and are far from each other."""
    count, step = (26, 17) if sky == "rain" else (30, 23)
    a, b, start = (97, 61, 151)[pattern], (29, 83, 53)[pattern], 13 * pattern * (5 if sky == "rain" else 7)
    return [((n * a + start) % 251 + 3, (n * UNITS // count + n * b % step) % UNITS) for n in range(count)]


_DROPS = {"rain": line("M0 0 l-8 20", "#D9F0FF", 4.5), "snow": ellipse(0, 0, 5.4, 5.4, "#FFFFFF", "#8FA3CF", 1.6)}
