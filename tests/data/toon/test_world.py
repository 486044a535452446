"""The rules of the simulation, checked independently on a few hundred stories."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from storygan.data.toon.world import DRY_PLACES, GAPS, LABELS, PAIRS, PLACES, SLOTS, SNOW_PLACES, Scene, sample_story

STORIES = [sample_story(np.random.default_rng([1, n]), T=5) for n in range(300)]
STORIES += [sample_story(np.random.default_rng([2, n]), T=20) for n in range(40)]
PAIR_STORIES = [sample_story(np.random.default_rng([3, n]), unseen_pair=True) for n in range(200)]


def who(scene: Scene) -> set[str]:
    return {actor.species for actor in scene.actors}


def held(scene: Scene) -> dict[str, str]:
    return {actor.holds: actor.species for actor in scene.actors if actor.holds}


@pytest.mark.parametrize("T", [1, 5, 20])
def test_story_has_T_scenes(T: int) -> None:
    assert len(sample_story(np.random.default_rng(0), T)) == T


def test_positions_are_unique_and_at_most_one_character_sleeps() -> None:
    for scene in (scene for story in STORIES for scene in story):
        slots = [actor.slot for actor in scene.actors]
        assert 1 <= len(slots) == len(set(slots)) <= len(SLOTS)
        gaps = [gap for _, gap in scene.ground]
        assert len(gaps) == len(set(gaps)) <= len(GAPS)
        assert sum(actor.pose == "sleep" for actor in scene.actors) <= 1
        assert not any(actor.pose == "sleep" and actor.holds for actor in scene.actors)
        assert not set(held(scene)) & {thing for thing, _ in scene.ground}


def test_only_events_change_who_is_present() -> None:
    for story in STORIES:
        gone: set[str] = set()
        for before, after in pairwise(story):
            subjects = set(after.event.subjects)
            match after.event.kind:
                case "enter":
                    assert who(after) == who(before) | subjects
                    assert not subjects & (gone | who(before)), "nobody enters twice"
                case "leave":
                    assert who(after) == who(before) - subjects != set()
                    gone |= subjects
                case _:
                    assert who(after) == who(before)
            assert after.place == before.place
            assert (after.sky != before.sky) == (after.event.kind == "sky")


def test_story_so_far_determines_the_positions() -> None:
    for story in STORIES + PAIR_STORIES:
        stands: dict[str, int] = {}
        for scene in story:
            free = [slot for slot in range(len(SLOTS)) if slot not in stands.values()]
            match scene.event.kind:
                case "open" | "open_with" | "open_two" | "enter":
                    stands |= dict(zip(scene.event.subjects, free, strict=False))
                case "leave":
                    del stands[scene.event.subjects[0]]
                case "walk":
                    at = stands[scene.event.subjects[0]]
                    stands[scene.event.subjects[0]] = min(free, key=lambda slot: (slot < at, slot))
            assert {actor.species: actor.slot for actor in scene.actors} == stands


def test_only_events_move_things() -> None:
    for story in STORIES:
        for before, after in pairwise(story):
            event = after.event
            lay, lie, had, has = set(dict(before.ground)), set(dict(after.ground)), held(before), held(after)
            expected = dict(had)
            thing, subject = event.thing, event.subjects[0] if event.subjects else ""
            match event.kind:
                case "find":
                    assert lie - lay == {thing}
                    assert thing not in lay | set(had)
                case "pick_up":
                    assert lay - lie == {thing}
                    expected[str(thing)] = subject
                case "put_down":
                    assert lie - lay == {thing}
                    assert expected.pop(str(thing)) == subject
                case "give":
                    assert had[str(thing)] == subject
                    expected[str(thing)] = event.others[0]
                case "leave":
                    expected = {what: whose for what, whose in had.items() if whose != subject}
            assert has == expected
            if event.kind not in ("find", "pick_up", "put_down"):
                assert lie == lay


def test_sleeping_characters_only_wake() -> None:
    for story in STORIES:
        for before, after in pairwise(story):
            sleepers = {actor.species for actor in before.actors if actor.pose == "sleep"}
            if after.event.kind == "wake":
                assert set(after.event.subjects) <= sleepers
                continue
            assert not sleepers & set(after.event.subjects)
            assert sleepers <= {actor.species for actor in after.actors if actor.pose == "sleep"}


def test_every_event_place_and_label_occurs() -> None:
    kinds = {scene.event.kind for story in STORIES for scene in story}
    assert len(kinds) == 16
    assert {story[0].place for story in STORIES} == set(PLACES)
    assert np.array([scene.labels() for story in STORIES for scene in story]).any(axis=0).all()


def test_weather_suits_the_place() -> None:
    for scene in (scene for story in STORIES for scene in story):
        assert scene.sky != "rain" or scene.place not in DRY_PLACES
        assert scene.sky != "snow" or scene.place in SNOW_PLACES


def test_labels_name_what_is_present() -> None:
    for scene in (scene for story in STORIES for scene in story):
        named = {name.partition(": ")[2] for name, bit in zip(LABELS, scene.labels(), strict=True) if bit}
        assert named == who(scene) | {scene.place} | set(held(scene)) | set(dict(scene.ground))


def test_unseen_pairs_occur_in_every_frame_of_their_part_alone() -> None:
    def pairs(scene: Scene) -> set[tuple[str, str]]:
        return {(species, scene.place) for species in who(scene)} & PAIRS

    assert not any(pairs(scene) for story in STORIES for scene in story)
    assert all(pairs(scene) for story in PAIR_STORIES for scene in story)
    assert set().union(*(pairs(story[0]) for story in PAIR_STORIES)) == PAIRS
