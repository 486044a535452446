"""The sentences: grammatical, with unambiguous pronouns, and without repetition of the place."""

from __future__ import annotations

import re

import numpy as np
import pytest

from storygan.data.toon import templates, world
from storygan.data.toon.language import write_story
from storygan.data.toon.templates import EVENTS, LINKS, SKY_CHANGES, Templates
from storygan.data.toon.world import CHARACTERS, Scene, sample_story

ALL = {**EVENTS, **{f"sky {name}": texts for name, texts in SKY_CHANGES.items()}}


def write_stories(part: int, count: int, unseen: bool = False) -> list[tuple[list[Scene], list[str]]]:
    stories = []
    for n in range(count):
        rng = np.random.default_rng([part, n])
        scenes = sample_story(rng, T=6)
        stories.append((scenes, write_story(scenes, rng, unseen)))
    return stories


STORIES, UNSEEN = write_stories(1, 300), write_stories(2, 150, unseen=True)


def words(sentence: str) -> set[str]:
    return set(re.findall(r"[a-z]+", sentence.lower()))


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_of_event_has_twelve_seen_and_three_unseen_templates(kind: str) -> None:
    seen, unseen = ALL[kind]
    assert len(set(seen)) == len(seen) >= 12
    assert len(set(unseen)) == len(unseen) >= 3
    assert not set(seen) & set(unseen)


def test_every_place_and_sky_has_seen_and_unseen_templates() -> None:
    assert set(templates.PLACES) == set(world.PLACES)
    assert set(templates.SKIES) == set(SKY_CHANGES) == set(world.SKIES)
    for seen, unseen in (*templates.PLACES.values(), *templates.SKIES.values()):
        assert len(seen) >= 3
        assert unseen
        assert not set(seen) & set(unseen)


def test_sentences_are_grammatical() -> None:
    for sentence in (sentence for _, sentences in STORIES + UNSEEN for sentence in sentences):
        assert re.fullmatch(r"[A-Z][A-Za-z,?!: ]*[a-z][.!]", sentence), sentence
        assert "  " not in sentence
        assert not re.search(r"\b(of|beside|with|to|for|but) (he|she|they)\b", sentence), sentence
        assert not re.search(r"\b([a-z]+) \1\b", sentence.replace("rains and rains", "")), sentence
        assert not re.search(r"\ban [^aeiou]|\ba [aeio]", sentence, re.IGNORECASE), sentence
        assert not re.search(r"\b(she|he) (are|have|do|[a-z]+[^s] the)\b", sentence, re.IGNORECASE), sentence


def test_pronoun_has_one_antecedent() -> None:
    for scenes, sentences in STORIES + UNSEEN:
        so_far: set[str] = set()
        for scene, sentence in zip(scenes, sentences, strict=True):
            so_far |= {actor.species for actor in scene.actors}
            for pronoun, forms in {"she": {"she", "her"}, "he": {"he", "him"}}.items():
                if words(sentence) & forms:
                    assert sum(CHARACTERS[species].pronoun == pronoun for species in so_far) == 1, sentences
            if words(sentence) & {"they", "them"}:
                others = {actor.species for actor in scene.actors} - set(scene.event.subjects)
                group = set(scene.event.subjects if "they" in words(sentence) else scene.event.others)
                assert len(group) > 1
                assert group == others | (group & set(scene.event.subjects))


def test_it_refers_to_the_only_thing_of_the_story() -> None:
    for scenes, sentences in STORIES + UNSEEN:
        things: list[str] = []
        for scene, sentence in zip(scenes, sentences, strict=True):
            thing = scene.event.thing
            assert not re.search(rf"\bit\b(?! rains| snows).* (the|an?) {thing}\b", sentence), "'it' before the thing"
            if thing and thing not in things:
                assert re.search(rf"\ban? {thing}\b", sentence), sentence
                things.append(thing)
            elif thing:
                assert f"the {thing}" in sentence or (things == [thing] and "it" in words(sentence)), sentences


def test_place_is_named_once() -> None:
    names = {name for place in world.PLACES for name in place.split() if name != "field"}
    for scenes, sentences in STORIES:
        assert set(scenes[0].place.split()) <= words(sentences[0])
        assert not any(names & words(sentence) for sentence in sentences[1:])


def test_most_later_sentences_depend_on_the_story_so_far() -> None:
    later = [sentence for _, sentences in STORIES for sentence in sentences[1:]]
    dependent = [s for s in later if words(s) & {"she", "he", "they", "her", "him", "them"} or s in sky_sentences()]
    assert len(dependent) > 0.6 * len(later)


def sky_sentences() -> set[str]:
    return {text for texts in SKY_CHANGES.values() for text in texts.seen}


ONE = "|".join(
    f"{c.name}|(?:{c.name} )?the {c.species}|a {c.species}(?: called {c.name})?" for c in CHARACTERS.values()
)
WHO = rf"(?:she|he|they|her|him|them|(?:{ONE})(?:(?:, | and )(?:{ONE}))*)"
SLOTS = {"S": WHO, "Sa": WHO, "O": WHO, "it": r"(?:it|(?:an?|the) \w+)"}


def matches(sentence: str, texts: Templates, unseen: bool) -> bool:
    """Return whether a template gives the sentence, with seen or unseen phrases for place and sky."""
    slots = dict(SLOTS)
    for slot, table in (("at", templates.PLACES), ("sky", templates.SKIES)):
        slots[slot] = "(?:" + "|".join(phrase for phrases in table.values() for phrase in phrases[unseen]) + ")"
    link = f"(?:(?:{'|'.join(LINKS)}) )?"
    patterns = (re.sub(r"\{(\w+)\}", lambda slot: slots[slot[1]], re.sub("[?.]", r"\\\g<0>", w)) for w in texts[unseen])
    return any(re.fullmatch(link + pattern, sentence, re.IGNORECASE) for pattern in patterns)


def test_unseen_templates_occur_in_their_part_alone() -> None:
    for stories, unseen in ((STORIES, False), (UNSEEN, True)):
        for scenes, sentences in stories:
            for scene, sentence in zip(scenes, sentences, strict=True):
                event = scene.event
                texts = SKY_CHANGES[str(event.sky)] if event.kind == "sky" else EVENTS[event.kind]
                assert matches(sentence, texts, unseen), sentence
                assert not matches(sentence, texts, not unseen), sentence


def test_character_is_referred_to_as_it_was_introduced() -> None:
    for scenes, sentences in STORIES:
        introduced: dict[str, set[str]] = {}
        for _, sentence in zip(scenes, sentences, strict=True):
            for species, character in CHARACTERS.items():
                named = {form for form in (character.name, species) if re.search(rf"\b{form}\b", sentence)}
                assert not named or not introduced.get(species) or named <= introduced[species], sentences
                introduced.setdefault(species, set()).update(named)


def test_templates_use_the_slots_of_their_kind() -> None:
    slots = {kind: {"S", "Sa"} for kind in EVENTS}
    for kind in ("enter", "leave", "give"):
        slots[kind] |= {"O"}
    for kind in ("open_with", "find", "pick_up", "give", "put_down"):
        slots[kind] |= {"it"}
    for kind in ("open", "open_with", "open_two"):
        slots[kind] |= {"at", "sky"}
    for kind, (seen, unseen) in EVENTS.items():
        for template in (*seen, *unseen):
            used = set(re.findall(r"\{(\w+)\}", template))
            assert used <= slots[kind], template
            assert slots[kind] - used <= {"S", "Sa", "O"}, template
            assert used & {"S", "Sa"}, template
