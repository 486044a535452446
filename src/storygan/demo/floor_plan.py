"""The floor of CLEVR-SV from above as a clickable SVG, and the sentences of the objects on it.

The plan has the camera's direction: left is left in the frame, and the lower edge is in front. Plan coordinates (u to
the right, v down) are scene units times UNIT, from the centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from math import hypot

from storygan.clevr.constants import RADII
from storygan.demo.story_input import sentences_of
from storygan.errors import UsageError
from storygan.text.clevr import LIMIT, ClevrObject, format_sentence, parse_sentence
from storygan.text.free_text import read_sentence
from storygan.text.placement import BEHIND, RIGHT

UNIT = 100.0
COLOURS = {
    "gray": "#7b7b7b",
    "red": "#c93030",
    "blue": "#3a63e0",
    "green": "#2d8a2a",
    "brown": "#8f5526",
    "purple": "#8d35d0",
    "cyan": "#3fcfd3",
    "yellow": "#f6dd3a",
}


def to_plan(x: float, y: float) -> tuple[float, float]:
    """Convert a scene location to plan coordinates."""
    return UNIT * (x * RIGHT[0] + y * RIGHT[1]), -UNIT * (x * BEHIND[0] + y * BEHIND[1])


def from_plan(u: float, v: float) -> tuple[float, float]:
    """Convert plan coordinates to a scene location with two decimals, which may be outside the floor."""
    right, behind = u / UNIT, -v / UNIT
    return round(right * RIGHT[0] + behind * BEHIND[0], 2), round(right * RIGHT[1] + behind * BEHIND[1], 2)


def parse_objects(text: str, T: int) -> dict[int, ClevrObject]:
    """Return the objects of the first T sentences by number from 1, without the sentences that cannot be parsed."""
    objects: dict[int, ClevrObject] = {}
    for number, sentence in enumerate(sentences_of(text)[:T], 1):
        try:
            objects[number] = parse_sentence(read_sentence(sentence, list(objects.values())))
        except UsageError:
            continue
    return objects


def place_object(text: str, new: ClevrObject, u: float, v: float, T: int) -> tuple[str, str]:
    """Add the sentence of an object at the plan coordinates.

    Returns:
        The story's text, and why nothing was added, or "".
    """
    sentences = sentences_of(text)
    if len(sentences) >= T:
        return text, f"The story has its {T} sentences. Undo one to place another object."
    x, y = from_plan(u, v)
    new = replace(new, x=x, y=y)
    try:
        sentence = format_sentence(new)
    except UsageError:
        return text, "This is outside the floor. Click on the floor."
    number = overlapping(new, parse_objects(text, T))
    if number:
        return text, f"Object {number} is too close. Choose another location."
    return "\n".join([*sentences, sentence]), ""


def overlapping(new: ClevrObject, objects: Mapping[int, ClevrObject]) -> int:
    """Return the number of the first object that overlaps the new one, or 0."""
    for number, other in objects.items():
        if hypot(new.x - other.x, new.y - other.y) < RADII[new.size] + RADII[other.size]:
            return number
    return 0


def remove_last(text: str) -> str:
    """Return the story without its last sentence."""
    return "\n".join(sentences_of(text)[:-1])


def draw_plan(text: str, T: int, note: str = "") -> str:
    """Return the plan as HTML: the floor, the story's numbered objects, and the note or what to do next."""
    objects = parse_objects(text, T)
    count = len(sentences_of(text))
    if len(objects) < min(count, T):
        hint = "Some sentences have errors."
    elif count < T:
        hint = f"Click the floor to place object {count + 1}."
    else:
        hint = f"All {T} objects are placed. Press Generate."
    by_distance = sorted(objects.items(), key=lambda item: to_plan(item[1].x, item[1].y)[1])  # the nearest on top
    return (
        f'<p class="hint{" note" if note else ""}" role="status">{escape(note or hint)}</p>'
        '<svg viewBox="-450 -450 900 945" role="img" aria-label="The floor from above">'
        f"{_defs()}{_floor()}{''.join(_object(number, each) for number, each in by_distance)}"
        '<text x="0" y="478" class="eye">▲ camera</text></svg>'
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
    return f'<polygon class="floor" points="{_points(corners)}"/><g class="grid">{grid}</g>'


def _object(number: int, placed: ClevrObject) -> str:
    u, v = to_plan(placed.x, placed.y)
    r = UNIT * RADII[placed.size]
    return (
        f'<g class="object" transform="translate({u:.1f} {v:.1f})"><title>{number}: {format_sentence(placed)}</title>'
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


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(_point(x, y).replace(" ", ",") for x, y in corners)
