"""The CLEVR-SV sentence grammar: parses and formats `large red rubber cube at (2.18, -2.85)`.

The four attributes may come in any order and case, with commas, an article in front and a final stop; 'metallic' and
'grey' are accepted. So the paper's 'yellow, large, metallic, sphere, (-2.1, 2.4)' parses too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from storygan.errors import UsageError

# The orders are those of the original release (data/importers/clevr_sv.py), so one-hots and labels line up with it.
SHAPES = ("cube", "sphere", "cylinder")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
SIZES = ("large", "small")
LABELS = SHAPES + COLOURS + MATERIALS + SIZES
"""The 15 presence labels of a frame."""
LIMIT = 3.0
"""The floor of a scene: x and y in [-3, 3]."""

ATTRIBUTES = {"size": SIZES, "colour": COLOURS, "material": MATERIALS, "shape": SHAPES}
"""Values by attribute, in the order of a sentence."""
ARTICLES = ("a", "an", "the")
_SYNONYMS = {"metallic": "metal", "grey": "gray"}
_ATTRIBUTE_OF = {word: attribute for attribute, words in ATTRIBUTES.items() for word in words}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)  # no two ways to match a digit, so linear in time
MAX_LENGTH = 300
"""Characters of a sentence; ours have under 50."""
_EXAMPLE = "'large red rubber cube at (2.18, -2.85)'"


@dataclass(frozen=True)
class ClevrObject:
    """One object on the floor. x and y are scene units in [-3, 3]."""

    shape: str
    colour: str
    material: str
    size: str
    x: float
    y: float


def format_sentence(thing: ClevrObject) -> str:
    """Format an object as a sentence, with x and y to two decimals. Raise UsageError if a value is not allowed."""
    for attribute, allowed in ATTRIBUTES.items():
        if getattr(thing, attribute) not in allowed:
            word = getattr(thing, attribute)
            raise UsageError(f"{attribute} {word!r} does not exist: use one of {', '.join(allowed)}")
    _require_on_floor("x", thing.x)
    _require_on_floor("y", thing.y)
    x, y = (round(value, 2) + 0.0 for value in (thing.x, thing.y))  # + 0.0 turns -0.0 into 0.0
    return f"{thing.size} {thing.colour} {thing.material} {thing.shape} at ({x:.2f}, {y:.2f})"


def parse_sentence(sentence: str) -> ClevrObject:
    """Parse a sentence. Raise UsageError that names the wrong word and lists the allowed ones."""
    if len(sentence) > MAX_LENGTH:
        raise UsageError(f"{quote(sentence)} has {len(sentence)} characters: write a sentence like {_EXAMPLE}")
    before, x, y, after = split_position(sentence.strip().removesuffix("."), sentence)
    if before and before[-1] == "at":
        before = before[:-1]
    words = before + after
    if words and words[0] in ARTICLES:
        words = words[1:]
    found: dict[str, str] = {}
    for word in words:
        word = _SYNONYMS.get(word, word)
        attribute = _ATTRIBUTE_OF.get(word)
        if attribute is None:
            allowed = "; ".join(f"{name}: {', '.join(options)}" for name, options in ATTRIBUTES.items())
            raise UsageError(f"unknown word {quote(word)} in {quote(sentence)}: allowed are {allowed}")
        if attribute in found:
            raise UsageError(f"two {attribute}s in {quote(sentence)}, {found[attribute]!r} and {word!r}: keep one")
        found[attribute] = word
    for attribute, options in ATTRIBUTES.items():
        if attribute not in found:
            raise UsageError(f"no {attribute} in {quote(sentence)}: add one of {', '.join(options)}")
    return ClevrObject(found["shape"], found["colour"], found["material"], found["size"], x, y)


def presence_labels(things: Sequence[ClevrObject]) -> list[list[int]]:
    """Return T x 15 labels, 0 or 1, in the order of `LABELS`, for T objects: frame k shows objects 1 to k."""
    rows: list[list[int]] = []
    seen: set[str] = set()
    for thing in things:
        seen |= {thing.shape, thing.colour, thing.material, thing.size}
        rows.append([int(label in seen) for label in LABELS])
    return rows


def split_position(text: str, sentence: str) -> tuple[list[str], float, float, list[str]]:
    """Split into the words before the bracket, x, y, and the words after it. Commas between words count as spaces."""
    before, opened, rest = text.partition("(")
    inside, closed, after = rest.partition(")")
    if not opened:
        raise UsageError(f"no position in {quote(sentence)}: add one in brackets, as in {_EXAMPLE}")
    parts = [part.strip() for part in inside.split(",")]
    if not closed or "(" in rest or ")" in before + after or len(parts) != 2:
        raise UsageError(f"the position in {quote(sentence)} must be one (x, y), as in {_EXAMPLE}")
    x, y = (_coordinate(axis, part) for axis, part in zip("xy", parts, strict=True))
    return _words(before), x, y, _words(after)


def _coordinate(axis: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{axis} {quote(text)} is not a number: write a decimal in [-3, 3], as in {_EXAMPLE}")
    value = float(text)
    _require_on_floor(axis, value)
    return value


def _require_on_floor(axis: str, value: float) -> None:
    if not -LIMIT <= value <= LIMIT:  # NaN fails here too
        raise UsageError(f"{axis} = {value} is outside the floor: x and y must be in [-3, 3]")


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").split()


def quote(text: str) -> str:
    """Quote a text for a message, cut to 80 characters."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
