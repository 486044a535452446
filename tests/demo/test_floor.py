"""The floor from above: clicks become sentences, sentences become a picture."""

import re

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan.data.clevr.geometry import Camera
from storygan.demo.floor_plan import UNIT, draw_plan, from_plan, place, take_back, things_of, to_plan
from storygan.text.clevr import ClevrObject, parse_sentence

CUBE = ClevrObject("cube", "red", "rubber", "large", 0.0, 0.0)


def test_plan_and_scene_are_each_others_inverse() -> None:
    for x, y in ((0.0, 0.0), (3.0, -3.0), (-2.18, 1.07)):
        assert from_plan(*to_plan(x, y)) == pytest.approx((x, y), abs=0.011)


def test_what_is_left_and_near_on_the_plan_is_left_and_near_in_the_picture() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-3, 3, (40, 2))
    u, v = np.array([to_plan(x, y) for x, y in places]).T
    across, down = Camera().project(np.c_[places, np.zeros(40)]).T
    assert np.corrcoef(u, across)[0, 1] > 0.95
    assert np.corrcoef(v, down)[0, 1] > 0.95


def test_a_click_writes_the_sentence_of_what_was_chosen() -> None:
    text, note = place("\n".join(STORY[:2]), CUBE, *to_plan(-1.0, -2.0), 4)
    assert note == ""
    assert text.splitlines()[:2] == list(STORY[:2])
    thing = parse_sentence(text.splitlines()[2])
    assert (thing.colour, thing.shape, thing.material, thing.size) == ("red", "cube", "rubber", "large")
    assert (thing.x, thing.y) == pytest.approx((-1.0, -2.0), abs=0.011)


@pytest.mark.parametrize(
    ("text", "u", "v", "note"),
    [
        ("\n".join(STORY), 0.0, 0.0, "Take one back"),
        ("", 4.4 * UNIT, -4.4 * UNIT, "beside the floor"),
        ("", float("nan"), 0.0, "beside the floor"),
        (STORY[0], *to_plan(-1.5, 1.5), "Number 1 is in the way"),
    ],
)
def test_a_click_that_places_nothing_says_why(text: str, u: float, v: float, note: str) -> None:
    after, why = place(text, CUBE, u, v, 4)
    assert after == text
    assert note in why


def test_take_back_removes_the_last_sentence() -> None:
    assert take_back("\n".join(STORY)) == "\n".join(STORY[:3])
    assert take_back("") == ""


def test_the_plan_shows_the_sentences_that_can_be_read_with_their_numbers() -> None:
    text = "\n".join([STORY[0], "small <b>pink</b> cube", STORY[2]])
    assert list(things_of(text, 4)) == [1, 3]
    plan = draw_plan(text, 4)
    assert re.findall(r">(\d)</text>", plan) == ["1", "3"]
    assert "pink" not in plan
    assert "Not every sentence has a thing" in plan
    assert "number 1 there" in draw_plan("", 4)
    assert "press Draw" in draw_plan("\n".join(STORY), 4)
