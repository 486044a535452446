"""The frames show what the labels name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from storygan.data.toon.art import draw_scene, draw_story
from storygan.data.toon.scenery import SKY, background
from storygan.data.toon.sprites import character, rasterise, transformed
from storygan.data.toon.world import CHARACTERS, PLACES, SKIES, THINGS, Actor, Event, Scene, sample_story

HEIGHTS = dict.fromkeys(CHARACTERS, 1.0)


def draw(scene: Scene, size: int = 64) -> np.ndarray:
    ground = background(scene.place, scene.sky, np.random.default_rng(5), size)
    return np.asarray(draw_scene(scene, ground, HEIGHTS, np.random.default_rng(6))[0]).astype(int)


def changed(one: np.ndarray, two: np.ndarray) -> int:
    """Count the pixels that differ visibly."""
    return int((np.abs(one - two).max(axis=2) > 24).sum())


def test_every_labelled_character_and_thing_is_visible() -> None:
    least = {"character": 4096, "thing": 4096}
    for n in range(16):
        for scene in sample_story(np.random.default_rng([10, n]), T=6):
            full = draw(scene)
            for actor in scene.actors:
                without = tuple(other for other in scene.actors if other is not actor)
                least["character"] = min(least["character"], changed(full, draw(replace(scene, actors=without))))
                if actor.holds:
                    empty = tuple(replace(a, holds=None) if a is actor else a for a in scene.actors)
                    least["thing"] = min(least["thing"], changed(full, draw(replace(scene, actors=empty))))
            for lying in scene.ground:
                ground = tuple(other for other in scene.ground if other != lying)
                least["thing"] = min(least["thing"], changed(full, draw(replace(scene, ground=ground))))
    print(f"fewest visible pixels of 4096: {least}")
    assert least["character"] >= 100
    assert least["thing"] >= 16


@pytest.mark.parametrize("size", [64, 128])
def test_frames_have_the_given_size_and_the_same_scenery(size: int) -> None:
    scene = Scene(Event("open", ("fox",)), "beach", "sunny", (Actor("fox", 0),))
    frames = draw_story([scene, replace(scene, actors=(Actor("fox", 2),))], np.random.default_rng(0), size)
    assert [(frame.mode, frame.size) for frame, _ in frames] == [("RGB", (size, size))] * 2
    one, two = (np.asarray(frame)[:, size * 2 // 5 : size * 3 // 5] for frame, _ in frames)
    assert np.array_equal(one, two)


def test_mask_is_where_a_frame_differs_from_its_background() -> None:
    for n, held in enumerate(("kite", None, "cake")):
        scene = Scene(Event("open", ("fox",)), "beach", "rain", (Actor("fox", n, holds=held),), (("ball", 1),))
        ground = background(scene.place, scene.sky, np.random.default_rng(5), 64)
        frame, mask = (np.asarray(image) for image in draw_scene(scene, ground, HEIGHTS, np.random.default_rng(6)))
        changes = np.abs(frame.astype(int) - np.asarray(ground)).max(-1)
        assert mask.dtype == bool
        assert mask.sum() > 150
        assert (changes[mask] > 24).mean() > 0.9
        assert (changes[~mask] > 120).mean() < 0.01  # edges that cover less than half a pixel
        _, without = draw_scene(replace(scene, ground=()), ground, HEIGHTS, np.random.default_rng(6))
        assert mask.sum() > np.asarray(without).sum() + 20  # the ball


def test_places_and_skies_differ() -> None:
    pictures = {
        (place, sky): np.asarray(background(place, sky, np.random.default_rng(3), 64)).astype(int)
        for place in PLACES
        for sky in SKIES
    }
    names = list(pictures)
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            assert changed(pictures[one], pictures[two]) > 40, (one, two)
    assert set(SKY) == set(SKIES)


def test_every_character_differs_from_every_other_in_every_pose() -> None:
    for pose in ("stand", "walk", "wave", "cheer", "sleep", "hold"):
        pictures = [
            np.asarray(rasterise(character(who, pose), 84, 112, 34).convert("RGB")).astype(int) for who in HEIGHTS
        ]
        for i, one in enumerate(pictures):
            assert all(changed(one, two) > 100 for two in pictures[i + 1 :])


@pytest.mark.parametrize("name", THINGS)
def test_thing_has_the_given_size(name: str) -> None:
    image = transformed(name, "", 16)
    assert max(image.size) == 16
    assert np.asarray(image.getchannel("A")).max() == 255


def test_flipping_mirrors() -> None:
    one, two = transformed("unicorn", "stand", 40), transformed("unicorn", "stand", 40, flip=True)
    assert np.array_equal(np.asarray(two), np.asarray(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
