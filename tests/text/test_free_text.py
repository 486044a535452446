"""Free text for CLEVR-SV: 200 sentences and what each means, and 50 kept aside while the parser was written."""

from __future__ import annotations

from math import hypot
from pathlib import Path
from typing import NamedTuple

import pytest

from storygan.clevr.constants import RADII
from storygan.errors import UsageError
from storygan.text.clevr import format_sentence, parse_sentence
from storygan.text.free_text import DIRECTIONS, read_sentence
from storygan.text.placement import GAP, MARGIN, MIN_VISIBLE, cell, fewest_pixels, fits, view_of

BEFORE = [
    "large red rubber sphere at (0.00, 0.00)",
    "small blue metal cube at (-2.40, -1.60)",
    "large green rubber cylinder at (2.40, 1.90)",
]
THINGS = [parse_sentence(sentence) for sentence in BEFORE]


class Case(NamedTuple):
    """A line of the files; `place` of an error is another part of its message."""

    before: int
    sentence: str
    expected: str
    place: str


def cases(name: str) -> list[Case]:
    """Read a file of cases."""
    lines = (Path(__file__).parent / name).read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [Case(int(before), *rest) for before, *rest in rows]


def problem(case: Case) -> str:
    """Return what is wrong with the parser's answer, or ""."""
    before = THINGS[: case.before]
    try:
        answer = read_sentence(case.sentence, before)
    except UsageError as error:
        fragments = (case.expected.removeprefix("error: "), case.place)
        right = case.expected.startswith("error: ") and all(part in str(error) for part in fragments)
        return "" if right else f"refused: {error}"
    thing = parse_sentence(answer)
    said = format_sentence(thing)
    if case.place.startswith("at "):
        x, y = map(float, case.place.split()[1:])
        return "" if (thing.x, thing.y) == (x, y) and (case.expected == answer or case.expected in said) else answer
    if not said.startswith(case.expected):
        return answer
    if not all(fits(thing, other) for other in before):
        return f"{answer} collides"
    if fewest_pixels([*before, thing]).min() < MIN_VISIBLE:
        return f"{answer} hides"
    return "" if is_at(view_of(thing), RADII[thing.size], case.place) else f"{answer} is not {case.place}"


def is_at(view: tuple[float, float], radius: float, place: str) -> bool:
    """Return whether a place is the one that a file describes."""
    if place == "free":
        return True
    words = place.split()
    if len(words) == 2 and words[0].lstrip("-").isdigit():
        wish = cell(int(words[0]), int(words[1]))
        return hypot(view[0] - wish[0], view[1] - wish[1]) < 0.75
    others = [THINGS[int(word) - 1] for word in words if word.isdigit()]
    ways = [(view[0] - x, view[1] - y) for x, y in map(view_of, others)]
    if words[0] == "near":
        return hypot(*ways[0]) <= radius + RADII[others[0].size] + GAP + 1
    if words[0] == "between":
        (ax, ay), (bx, by) = ways
        return ax * bx + ay * by < -0.4 * hypot(ax, ay) * hypot(bx, by)
    sides = [word.replace("behind", "back") for word in words if word.replace("behind", "back") in DIRECTIONS]
    ((dx, dy),) = ways
    return all(dx * DIRECTIONS[side][0] + dy * DIRECTIONS[side][1] >= MARGIN - 0.01 for side in sides)


@pytest.mark.parametrize("case", cases("free_text.txt"), ids=lambda case: case.sentence)
def test_a_sentence_is_understood(case: Case) -> None:
    assert problem(case) == ""
