"""The floor plan: from clicks to sentences and from sentences to the SVG."""

import re
from typing import Any

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan.clevr.geometry import Camera
from storygan.demo.floor_plan import UNIT, draw_plan, edit_objects, from_plan, to_plan
from storygan.errors import UsageError
from storygan.text.clevr import ClevrObject, format_sentence, parse_sentence

CUBE = ClevrObject("cube", "red", "rubber", "large", 0.0, 0.0)


def test_from_plan_inverts_to_plan() -> None:
    for x, y in ((0.0, 0.0), (3.0, -3.0), (-2.18, 1.07)):
        assert from_plan(*to_plan(x, y)) == pytest.approx((x, y), abs=0.011)


def test_left_and_front_of_the_plan_are_left_and_front_of_the_frame() -> None:
    rng = np.random.default_rng(0)
    locations = rng.uniform(-3, 3, (40, 2))
    u, v = np.array([to_plan(x, y) for x, y in locations]).T
    across, down = Camera().project(np.c_[locations, np.zeros(40)]).T
    assert np.corrcoef(u, across)[0, 1] > 0.95
    assert np.corrcoef(v, down)[0, 1] > 0.95


def at(x: float, y: float) -> dict[str, float]:
    """Return a click at a scene location."""
    return dict(zip("uv", to_plan(x, y), strict=True))


def test_a_click_adds_an_object_in_a_new_colour() -> None:
    text, note = edit_objects("a red ball\n" + STORY[1], 4, at(-1.0, -2.0))
    assert note == ""
    first, second, third = map(parse_sentence, text.splitlines())  # free text has become canonical
    assert (first.colour, format_sentence(second)) == ("red", STORY[1].replace("1.2", "1.20").replace("1.9", "1.90"))
    assert third.colour not in ("red", "blue")
    assert (third.x, third.y) == pytest.approx((-1.0, -2.0), abs=0.011)


def test_an_object_is_moved_changed_and_removed() -> None:
    text = "\n".join(STORY)
    moved = edit_objects(text, 4, {"line": 2, **at(2.0, 0.5)})[0].splitlines()
    assert moved[1] == "small blue metal cylinder at (2.00, 0.50)"
    changed = edit_objects(text, 4, {"line": 2, "attribute": "colour", "value": "cyan"})[0].splitlines()
    assert changed[1] == "small cyan metal cylinder at (1.20, 1.90)"
    removed = edit_objects(text, 4, {"line": 2, "remove": True})[0].splitlines()
    assert [parse_sentence(line).colour for line in removed] == ["red", "green", "yellow"]


@pytest.mark.parametrize(
    ("text", "action", "note"),
    [
        ("\n".join(STORY * 2), at(0.0, 0.0), "Remove one"),
        ("", {"u": 4.4 * UNIT, "v": -4.4 * UNIT}, "outside the floor"),
        (STORY[0], at(-1.5, 1.5), "Object 1 is too close"),
        ("a pink cow", {"line": 1, "attribute": "colour", "value": "red"}, "has an error"),
    ],
)
def test_an_action_that_changes_nothing_returns_the_reason(text: str, action: dict[str, Any], note: str) -> None:
    after, why = edit_objects(text, 4, action)
    assert after == text
    assert note in why


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"u": float("nan"), "v": 0},
        {"u": "1", "v": 0},
        {"u": 10**400, "v": 0},
        {"line": 5, "remove": True},
        {"line": None, "remove": True},
        {"line": 1},
        {"line": 1, "attribute": "x", "value": "red"},
        {"line": 1, "attribute": "colour", "value": "pink"},
        {"line": 1, "attribute": ["colour"], "value": ["red"]},
    ],
)
def test_what_is_no_action_is_refused(action: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        edit_objects("\n".join(STORY[:2]), 4, action)


def test_the_plan_has_the_numbered_objects() -> None:
    plan = draw_plan({1: CUBE, 3: parse_sentence(STORY[2])})
    assert sorted(re.findall(r">(\d)</text>", plan)) == ["1", "3"]
    assert 'data-line="3"' in plan
    assert f"Object 1: {format_sentence(CUBE)}. Arrow keys" in plan
