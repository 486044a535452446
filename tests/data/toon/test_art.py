"""The frames show what the labels name."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from storygan.data.toon.art import GROUND, draw_scene, draw_story
from storygan.data.toon.scenery import LIGHT, PATTERNS, PLACES, SETS, SKY, Staging, background
from storygan.data.toon.shapes import UNITS, moved, rasterise
from storygan.data.toon.sprites import HANDS, LOOKS, asleep, character, lying, thing
from storygan.data.toon.world import CHARACTERS, SKIES, THINGS, Actor, Event, Scene, sample_story
from storygan.data.toon.world import PLACES as NAMES

STAGING = Staging()


def draw(scene: Scene, size: int = 64) -> np.ndarray:
    return np.asarray(draw_scene(scene, STAGING, size)[0]).astype(int)


def ground(place: str, sky: str, staging: Staging = STAGING, size: int = 64) -> np.ndarray:
    return np.asarray(background(place, sky, staging, size)).astype(int)


def changed(one: np.ndarray, two: np.ndarray) -> int:
    """Count the pixels that differ visibly."""
    return int((np.abs(one - two).max(axis=2) > 24).sum())


def test_every_labelled_character_and_thing_is_visible() -> None:
    least = {"character": 4096, "thing": 4096}
    for n in range(12):
        for scene in sample_story(np.random.default_rng([10, n]), T=6):
            full = draw(scene)
            for actor in scene.actors:
                without = tuple(other for other in scene.actors if other is not actor)
                least["character"] = min(least["character"], changed(full, draw(replace(scene, actors=without))))
                if actor.holds:
                    empty = tuple(replace(a, holds=None) if a is actor else a for a in scene.actors)
                    least["thing"] = min(least["thing"], changed(full, draw(replace(scene, actors=empty))))
            for on_ground in scene.ground:
                others = tuple(other for other in scene.ground if other != on_ground)
                least["thing"] = min(least["thing"], changed(full, draw(replace(scene, ground=others))))
    print(f"fewest visible pixels of 4096: {least}")
    assert least["character"] >= 400
    assert least["thing"] >= 120


@pytest.mark.parametrize("held", THINGS)
def test_held_thing_stands_out_in_every_slot_and_pose(held: str) -> None:
    for place, pose in (("snowy field", "stand"), ("village", "cheer"), ("forest", "wave")):
        for slot, facing in ((0, 1), (1, 1), (2, -1)):
            scene = Scene(Event("walk"), place, "sunny", (Actor("panda", slot, facing, pose, held),))
            without = replace(scene, actors=(Actor("panda", slot, facing, pose),))
            assert changed(draw(scene), draw(without)) >= 80, (place, slot)


@pytest.mark.parametrize("size", [64, 128])
def test_frames_have_the_given_size_and_the_same_scenery(size: int) -> None:
    scene = Scene(Event("open", ("fox",)), "beach", "sunny", (Actor("fox", 0),))
    frames = draw_story([scene, replace(scene, actors=(Actor("fox", 2),))], STAGING, size)
    assert [(frame.mode, frame.size) for frame, _ in frames] == [("RGB", (size, size))] * 2
    one, two = (np.asarray(frame)[:, size * 2 // 5 : size * 3 // 5] for frame, _ in frames)
    assert np.array_equal(one, two)


def test_frame_of_another_size_is_the_same_picture() -> None:
    scene = Scene(Event("open", ("fox",)), "farm", "rain", (Actor("fox", 1, holds="kite"),), (("ball", 0),))
    small, large = (draw_scene(scene, Staging(2, True, 1), size)[0] for size in (64, 128))
    assert np.abs(np.asarray(small).astype(int) - np.asarray(large.reduce(2))).mean() < 3


def test_mask_is_where_a_frame_differs_from_its_background() -> None:
    for n, held in enumerate(("kite", None, "cake")):
        scene = Scene(Event("open", ("fox",)), "beach", "rain", (Actor("fox", n, holds=held),), (("ball", 1),))
        frame, mask = (np.asarray(image) for image in draw_scene(scene, STAGING))
        changes = np.abs(frame.astype(int) - ground("beach", "rain")).max(-1)
        assert mask.dtype == bool
        assert mask.sum() > 500
        assert (changes[mask] > 24).mean() > 0.9
        assert (changes[~mask] > 120).mean() < 0.01  # shadows, and edges that cover less than half a pixel
        _, without = draw_scene(replace(scene, ground=()), STAGING)
        assert mask.sum() > np.asarray(without).sum() + 20  # the ball


def test_places_skies_and_sets_differ() -> None:
    assert set(SKY) == set(SKIES)
    assert set(LIGHT) < set(SKIES)
    assert set(PLACES) == set(NAMES)
    assert {len(sets) for sets in PLACES.values()} == {SETS}
    pictures = {
        (place, sky, index): ground(place, sky, Staging(index))
        for place in PLACES
        for sky in SKIES
        for index in range(SETS)
    }
    for one, two in combinations(pictures, 2):
        assert changed(pictures[one], pictures[two]) > 40, (one, two)


def test_mirror_turns_the_scenery_but_not_the_sky() -> None:
    for index in range(SETS):
        one, two = (ground("village", "sunny", Staging(index, mirror)) for mirror in (False, True))
        assert np.array_equal(one[48:], two[48:, ::-1])
        assert changed(one, two[:, ::-1]) > 100  # the sun
        assert changed(one, two) > 100


def test_patterns_differ_under_rain_and_snow_alone() -> None:
    for sky in SKIES:
        for place in ("village", "living room"):
            for one, two in combinations(range(PATTERNS), 2):
                pictures = [ground(place, sky, Staging(pattern=pattern)) for pattern in (one, two)]
                assert (changed(*pictures) > 8) == (sky in ("rain", "snow")), (sky, place)


def test_every_character_differs_from_every_other_in_every_pose() -> None:
    assert set(LOOKS) == set(CHARACTERS)
    poses = [lambda who, arms=arms: character(who, arms) for arms in HANDS] + [asleep]
    for pose in poses:
        images = (rasterise(moved(pose(who), 128, 220), 64).convert("RGB") for who in LOOKS)
        for one, two in combinations([np.asarray(image).astype(int) for image in images], 2):
            assert changed(one, two) > 100


@pytest.mark.parametrize("name", THINGS)
def test_thing_has_its_size(name: str) -> None:
    left, top, right, bottom = rasterise(moved(thing(name), 128, 128), UNITS).getbbox() or (0, 0, 0, 0)
    assert 48 <= max(right - left, bottom - top) <= 100
    _, _, _, bottom = rasterise(moved(lying(name), 128, 128), UNITS).getbbox() or (0, 0, 0, 0)
    assert bottom - 128 <= UNITS - GROUND  # within the frame


@pytest.mark.parametrize("name", THINGS)
def test_thing_over_the_head_stays_in_the_frame(name: str) -> None:
    scene = Scene(Event("walk"), "desert", "sunny", (Actor("bear", 1, 1, "cheer", name),))
    mask = np.asarray(draw_scene(scene, STAGING, UNITS)[1])
    assert not mask[0].any()


def test_facing_mirrors() -> None:
    scene = Scene(Event("walk"), "meadow", "cloudy", (Actor("unicorn", 1),))
    one, two = (draw_scene(replace(scene, actors=(Actor("unicorn", 1, facing),)), STAGING)[1] for facing in (1, -1))
    assert np.array_equal(np.asarray(one), np.asarray(two)[:, ::-1])
    assert not np.array_equal(np.asarray(one), np.asarray(two))
