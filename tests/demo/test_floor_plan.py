"""The floor plan: from clicks to sentences and from sentences to the SVG."""

import re

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan.clevr.geometry import Camera
from storygan.demo.floor_plan import UNIT, draw_plan, from_plan, parse_objects, place_object, remove_last, to_plan
from storygan.text.clevr import ClevrObject, parse_sentence

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


def test_a_click_writes_the_sentence_of_the_object() -> None:
    text, note = place_object("\n".join(STORY[:2]), CUBE, *to_plan(-1.0, -2.0), 4)
    assert note == ""
    assert text.splitlines()[:2] == list(STORY[:2])
    placed = parse_sentence(text.splitlines()[2])
    assert (placed.colour, placed.shape, placed.material, placed.size) == ("red", "cube", "rubber", "large")
    assert (placed.x, placed.y) == pytest.approx((-1.0, -2.0), abs=0.011)


@pytest.mark.parametrize(
    ("text", "u", "v", "note"),
    [
        ("\n".join(STORY), 0.0, 0.0, "Undo one"),
        ("", 4.4 * UNIT, -4.4 * UNIT, "outside the floor"),
        ("", float("nan"), 0.0, "outside the floor"),
        (STORY[0], *to_plan(-1.5, 1.5), "Object 1 is too close"),
    ],
)
def test_a_click_that_places_nothing_returns_the_reason(text: str, u: float, v: float, note: str) -> None:
    after, why = place_object(text, CUBE, u, v, 4)
    assert after == text
    assert note in why


def test_remove_last() -> None:
    assert remove_last("\n".join(STORY)) == "\n".join(STORY[:3])
    assert remove_last("") == ""


def test_the_plan_has_the_numbered_objects_of_valid_sentences() -> None:
    text = "\n".join([STORY[0], "small <b>pink</b> cube", STORY[2]])
    assert list(parse_objects(text, 4)) == [1, 3]
    plan = draw_plan(text, 4)
    assert re.findall(r">(\d)</text>", plan) == ["1", "3"]
    assert "pink" not in plan
    assert "Some sentences have errors" in plan
    assert "place object 1" in draw_plan("", 4)
    assert "Press Generate" in draw_plan("\n".join(STORY), 4)
