"""The floor of CLEVR-SV seen from above, as an SVG one can click, and the sentences of what stands on it.

The plan is turned the way the camera looks: what is on its left will be on the left of the picture, and what is near
its lower edge will be in front. Plan coordinates (u to the right, v down) are scene units times UNIT, from the centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from math import hypot

from storygan.data.clevr.constants import RADII
from storygan.data.clevr.scene import BEHIND, RIGHT
from storygan.demo.story_input import sentences_of
from storygan.errors import UsageError
from storygan.text.clevr import LIMIT, ClevrObject, format_sentence, parse_sentence

UNIT = 100.0
PAINT = {
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
    """Scene position -> plan coordinates."""
    return UNIT * (x * RIGHT[0] + y * RIGHT[1]), -UNIT * (x * BEHIND[0] + y * BEHIND[1])


def from_plan(u: float, v: float) -> tuple[float, float]:
    """Plan coordinates -> scene position, to two decimals; it may be off the floor."""
    right, behind = u / UNIT, -v / UNIT
    return round(right * RIGHT[0] + behind * BEHIND[0], 2), round(right * RIGHT[1] + behind * BEHIND[1], 2)


def things_of(text: str, T: int) -> dict[int, ClevrObject]:
    """The objects of the first T sentences by their number from 1; a sentence that cannot be read has none."""
    things = {}
    for number, sentence in enumerate(sentences_of(text)[:T], 1):
        try:
            things[number] = parse_sentence(sentence)
        except UsageError:
            continue
    return things


def place(text: str, thing: ClevrObject, u: float, v: float, T: int) -> tuple[str, str]:
    """Put the object where the plan was clicked: (the story's new text, why it was not put there or "")."""
    sentences = sentences_of(text)
    if len(sentences) >= T:
        return text, f"The story has its {T} sentences. Take one back to place another thing."
    x, y = from_plan(u, v)
    thing = replace(thing, x=x, y=y)
    try:
        sentence = format_sentence(thing)
    except UsageError:  # beside the floor
        return text, "That is beside the floor. Click on the floor."
    number = in_the_way(thing, things_of(text, T))
    if number:
        return text, f"Number {number} is in the way. Choose another spot."
    return "\n".join([*sentences, sentence]), ""


def in_the_way(thing: ClevrObject, things: Mapping[int, ClevrObject]) -> int:
    """The number of the first of the things that stands where this one is to stand; 0 where none does."""
    for number, other in things.items():
        if hypot(thing.x - other.x, thing.y - other.y) < RADII[thing.size] + RADII[other.size]:
            return number
    return 0


def take_back(text: str) -> str:
    """The story without its last sentence."""
    return "\n".join(sentences_of(text)[:-1])


def draw_plan(text: str, T: int, note: str = "") -> str:
    """The plan as HTML: the floor, the story's objects with their numbers, and what to do next (or the note)."""
    things = things_of(text, T)
    told = len(sentences_of(text))
    if len(things) < min(told, T):
        hint = "Not every sentence has a thing and a place yet."
    elif told < T:
        hint = f"Click the floor to put number {told + 1} there."
    else:
        hint = f"All {T} things have a place. Now press Draw!"
    drawn = sorted(things.items(), key=lambda item: to_plan(item[1].x, item[1].y)[1])  # the nearest last: on top
    return (
        f'<p class="hint{" note" if note else ""}" role="status">{escape(note or hint)}</p>'
        '<svg viewBox="-450 -450 900 945" role="img" aria-label="The floor from above">'
        f"{_defs()}{_floor()}{''.join(_thing(number, thing) for number, thing in drawn)}"
        '<text x="0" y="478" class="eye">▲ you look from here</text></svg>'
    )


def _defs() -> str:
    shine = ((0, "#fff", 0.9), (0.45, "#fff", 0.05), (1, "#000", 0.35))
    matt = ((0, "#fff", 0.15), (1, "#000", 0.25))
    gradients = []
    for material, stops in (("metal", shine), ("rubber", matt)):
        inner = "".join(f'<stop offset="{at}" stop-color="{c}" stop-opacity="{a}"/>' for at, c, a in stops)
        gradients.append(f'<linearGradient id="{material}" x1="0" y1="0" x2="1" y2="1">{inner}</linearGradient>')
    return f"<defs>{''.join(gradients)}</defs>"


def _floor() -> str:
    """The square [-3, 3] x [-3, 3] with a line at each whole number."""
    steps = range(-int(LIMIT), int(LIMIT) + 1)
    lines = [((k, -LIMIT), (k, LIMIT)) for k in steps] + [((-LIMIT, k), (LIMIT, k)) for k in steps]
    corners = [(-LIMIT, -LIMIT), (LIMIT, -LIMIT), (LIMIT, LIMIT), (-LIMIT, LIMIT)]
    grid = "".join(f'<path d="M{_point(*start)} L{_point(*end)}"/>' for start, end in lines)
    return f'<polygon class="floor" points="{_points(corners)}"/><g class="grid">{grid}</g>'


def _thing(number: int, thing: ClevrObject) -> str:
    u, v = to_plan(thing.x, thing.y)
    r = UNIT * RADII[thing.size]
    return (
        f'<g class="thing" transform="translate({u:.1f} {v:.1f})"><title>{number}: {format_sentence(thing)}</title>'
        f'<ellipse cx="{0.12 * r:.1f}" cy="{0.75 * r:.1f}" rx="{0.95 * r:.1f}" ry="{0.4 * r:.1f}" class="shadow"/>'
        f'<g fill="{PAINT[thing.colour]}">{_body(thing.shape, r, thing.material)}'
        f'</g><text y="{0.12 * r + 14:.1f}">{number}</text></g>'
    )


def _body(shape: str, r: float, material: str) -> str:
    """The outline in the fill of its group, and again in the material's shine."""
    shine = f'fill="url(#{material})"'
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
    return outline % 'class="body"' + outline % shine + lid


def _point(x: float, y: float) -> str:
    u, v = to_plan(x, y)
    return f"{u:.1f} {v:.1f}"


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(_point(x, y).replace(" ", ",") for x, y in corners)
