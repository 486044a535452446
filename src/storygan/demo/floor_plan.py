"""The floor of CLEVR-SV from above as an SVG, and what a visitor does with the objects on it.

The plan has the camera's direction: left is left in the frame, and the lower edge is in front. Plan coordinates (u to
the right, v down) are scene units times UNIT, from the centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot
from typing import Any

from storygan.clevr.constants import RADII
from storygan.demo.story_input import Line, check_story, whole_number
from storygan.errors import UsageError
from storygan.text.clevr import ATTRIBUTES, LIMIT, SHAPES, ClevrObject, format_sentence
from storygan.text.free_text import read_sentence
from storygan.text.placement import BEHIND, RIGHT

UNIT = 100.0
COLOURS = {
    "red": "#c93030",
    "blue": "#3a63e0",
    "green": "#2d8a2a",
    "yellow": "#f6dd3a",
    "purple": "#8d35d0",
    "cyan": "#3fcfd3",
    "brown": "#8f5526",
    "gray": "#7b7b7b",
}


def to_plan(x: float, y: float) -> tuple[float, float]:
    """Convert a scene location to plan coordinates."""
    return UNIT * (x * RIGHT[0] + y * RIGHT[1]), -UNIT * (x * BEHIND[0] + y * BEHIND[1])


def from_plan(u: float, v: float) -> tuple[float, float]:
    """Convert plan coordinates to a scene location with two decimals, which may be outside the floor."""
    right, behind = u / UNIT, -v / UNIT
    return round(right * RIGHT[0] + behind * BEHIND[0], 2), round(right * RIGHT[1] + behind * BEHIND[1], 2)


def edit_objects(text: str, T: int, action: Mapping[str, Any]) -> tuple[str, str]:
    """Apply a visitor's action to the objects of a story; free text becomes canonical.

    Args:
        text: the story.
        T: of the model.
        action: `{"u", "v"}` adds an object at plan coordinates, `{"line", "u", "v"}` moves that of a sentence, from 1,
            `{"line", "attribute", "value"}` changes it, and `{"line", "remove"}` removes it.

    Returns:
        The story's text, and why it has not changed, or "".

    Raises:
        UsageError: It is no such action.
    """
    lines = list(check_story(text, T, read_sentence).lines)
    if "line" not in action:
        if len(lines) >= 2 * T:
            return text, f"The story has {2 * T} objects. Remove one to place another."
        k, thing = len(lines), next_object([line.thing for line in lines if line.thing])
    else:
        k = whole_number("The sentence", action["line"], 1, len(lines)) - 1
        if "remove" in action:
            return "\n".join(line.canonical for line in (*lines[:k], *lines[k + 1 :])), ""
        known = lines[k].thing
        if known is None:
            return text, "This sentence has an error."
        thing = known
    if "attribute" in action:
        if action["attribute"] not in list(ATTRIBUTES):
            raise UsageError("An object has no such attribute.")
        thing = replace(thing, **{str(action["attribute"]): action["value"]})
    else:
        x, y = from_plan(_number(action, "u"), _number(action, "v"))
        thing = replace(thing, x=x, y=y)
        if not (-LIMIT <= x <= LIMIT and -LIMIT <= y <= LIMIT):
            return text, "This is outside the floor."
        others = {n: line.thing for n, line in enumerate(lines, 1) if line.thing and n != k + 1}
        if number := overlapping(thing, others):
            return text, f"Object {number} is too close. Choose another place."
    lines[k:] = [Line(format_sentence(thing)), *lines[k + 1 :]]
    return "\n".join(line.canonical for line in lines), ""


def next_object(objects: Sequence[ClevrObject]) -> ClevrObject:
    """Return an object in the first colour that the others do not have, of the next shape."""
    colours = [colour for colour in COLOURS if colour not in {each.colour for each in objects}] or list(COLOURS)
    return ClevrObject(SHAPES[len(objects) % len(SHAPES)], colours[0], "rubber", "large", 0.0, 0.0)


def _number(action: Mapping[str, Any], name: str) -> float:
    value = action.get(name)
    if not isinstance(value, int | float) or not abs(value) < 10 * UNIT:  # NaN fails here too
        raise UsageError("Click on the floor.")
    return float(value)


def overlapping(new: ClevrObject, objects: Mapping[int, ClevrObject]) -> int:
    """Return the number of the first object that overlaps the new one, or 0."""
    for number, other in objects.items():
        if hypot(new.x - other.x, new.y - other.y) < RADII[new.size] + RADII[other.size]:
            return number
    return 0


def draw_plan(objects: Mapping[int, ClevrObject]) -> str:
    """Return the floor with numbered objects as SVG. Arrow keys and the pointer move them."""
    by_distance = sorted(objects.items(), key=lambda item: to_plan(item[1].x, item[1].y)[1])  # the nearest on top
    return (
        '<svg viewBox="-450 -450 900 920" role="group" aria-label="The floor from above">'
        f"{_defs()}{_floor()}{''.join(_object(number, each) for number, each in by_distance)}"
        '<text x="0" y="465" class="eye">▲ camera</text></svg>'
    )


def _defs() -> str:
    metal = ((0, "#fff", 0.9), (0.45, "#fff", 0.05), (1, "#000", 0.35))
    rubber = ((0, "#fff", 0.15), (1, "#000", 0.25))
    gradients = []
    for material, stops in (("metal", metal), ("rubber", rubber)):
        inner = "".join(f'<stop offset="{at}" stop-color="{c}" stop-opacity="{a}"/>' for at, c, a in stops)
        gradients.append(f'<linearGradient id="{material}" x1="0" y1="0" x2="1" y2="1">{inner}</linearGradient>')
    return f"<defs>{''.join(gradients)}</defs>"


def _floor() -> str:
    """Draw the square [-3, 3] x [-3, 3] with a line at each whole number."""
    steps = range(-int(LIMIT), int(LIMIT) + 1)
    lines = [((k, -LIMIT), (k, LIMIT)) for k in steps] + [((-LIMIT, k), (LIMIT, k)) for k in steps]
    corners = [(-LIMIT, -LIMIT), (LIMIT, -LIMIT), (LIMIT, LIMIT), (-LIMIT, LIMIT)]
    grid = "".join(f'<path d="M{_point(*start)} L{_point(*end)}"/>' for start, end in lines)
    points = " ".join(_point(*corner).replace(" ", ",") for corner in corners)
    return f'<polygon class="floor" points="{points}"/><g class="grid">{grid}</g>'


def _object(number: int, placed: ClevrObject) -> str:
    u, v = to_plan(placed.x, placed.y)
    r = UNIT * RADII[placed.size]
    name = f"Object {number}: {format_sentence(placed)}. Arrow keys move it."
    return (
        f'<g class="object" transform="translate({u:.1f} {v:.1f})" tabindex="0" '
        f'role="button" aria-label="{name}" data-line="{number}" data-key="object-{number}">'
        f'<ellipse cx="{0.12 * r:.1f}" cy="{0.75 * r:.1f}" rx="{0.95 * r:.1f}" ry="{0.4 * r:.1f}" class="shadow"/>'
        f'<g fill="{COLOURS[placed.colour]}">{_body(placed.shape, r, placed.material)}'
        f'</g><text y="{0.12 * r + 14:.1f}">{number}</text></g>'
    )


def _body(shape: str, r: float, material: str) -> str:
    """Draw the outline in the colour of its group, and again in the shading of the material."""
    shading = f'fill="url(#{material})"'
    if shape == "sphere":
        outline = f'<circle r="{r:.1f}" %s/>'
        lid = ""
    elif shape == "cylinder":
        outline = (
            f'<path d="M{-0.8 * r:.1f} {-0.6 * r:.1f} V{0.6 * r:.1f} A{0.8 * r:.1f} {0.32 * r:.1f} 0 0 0 '
            f"{0.8 * r:.1f} {0.6 * r:.1f} V{-0.6 * r:.1f} A{0.8 * r:.1f} {0.32 * r:.1f} 0 0 0 {-0.8 * r:.1f} "
            f'{-0.6 * r:.1f} Z" %s/>'
        )
        lid = f'<ellipse cy="{-0.6 * r:.1f}" rx="{0.8 * r:.1f}" ry="{0.32 * r:.1f}" class="lid"/>'
    else:
        a, b = 0.87 * r, 0.45 * r
        outline = f'<path d="M0 {-r:.1f} L{a:.1f} {-b:.1f} V{b:.1f} L0 {r:.1f} L{-a:.1f} {b:.1f} V{-b:.1f} Z" %s/>'
        lid = f'<path d="M0 {-r:.1f} L{a:.1f} {-b:.1f} L0 {0.1 * r:.1f} L{-a:.1f} {-b:.1f} Z" class="lid"/>'
    return outline % 'class="body"' + outline % shading + lid


def _point(x: float, y: float) -> str:
    u, v = to_plan(x, y)
    return f"{u:.1f} {v:.1f}"
