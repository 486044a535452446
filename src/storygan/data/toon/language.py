"""Write the sentences of a story: the place is named once, and later sentences use 'she', 'they' and 'it'.

A pronoun is used only where it has one antecedent. It is 'she' or 'he' where the story so far has one such character,
'they' for all who are present, and 'it' where the story so far has one thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from storygan.data.toon.templates import EVENTS, LINKS, PLACES, SKIES, SKY_CHANGES, Templates
from storygan.data.toon.world import CHARACTERS, Scene

P_PRONOUN, P_LINK = 0.85, 0.2  # probabilities, where possible
ACCUSATIVE = {"she": "her", "he": "him", "they": "them"}
_INTRODUCTIONS = (  # cumulative probability, phrase
    (0.5, "{name} the {species}"),
    (0.7, "a {species}"),
    (0.85, "a {species} called {name}"),
    (1.0, "{name}"),
)


def write_story(scenes: Sequence[Scene], rng: np.random.Generator, unseen: bool = False) -> list[str]:
    """Write one sentence per scene. Templates are those of every split; with `unseen`, those of the test part only."""
    narrator = Narrator(rng, unseen)
    return [narrator.sentence(scene) for scene in scenes]


@dataclass
class Narrator:
    """Writes the sentences of a story in order, and keeps what the story so far has mentioned."""

    rng: np.random.Generator
    unseen: bool = False
    characters: dict[str, list[str]] = field(default_factory=dict)  # species -> phrases that may refer to it
    things: list[str] = field(default_factory=list)

    def sentence(self, scene: Scene) -> str:
        """Write the sentence of the next scene."""
        event = scene.event
        if event.kind == "sky":
            return self._choose(SKY_CHANGES[str(event.sky)])
        template = self._choose(EVENTS[event.kind])
        if self.characters and template.startswith("{S}") and self.rng.random() < P_LINK:
            template = f"{self.rng.choice(LINKS)} {template}"
        present = {actor.species for actor in scene.actors}
        # filled in the order of the slots, so that a thing or a character is introduced before it is referred to
        fill = {
            "S": lambda: self._group(event.subjects, present, accusative=False),
            "Sa": lambda: self._group(event.subjects, present, accusative=True),
            "O": lambda: self._group(event.others, present - set(event.subjects), accusative=True),
            "it": lambda: self._thing(str(event.thing)),
            "at": lambda: self._choose(PLACES[scene.place]),
            "sky": lambda: self._choose(SKIES[scene.sky]),
        }
        sentence = re.sub(r"\{(\w+)\}", lambda slot: fill[slot[1]](), template)
        return sentence[0].upper() + sentence[1:]

    def _choose(self, templates: Templates) -> str:
        return str(self.rng.choice(templates.unseen if self.unseen else templates.seen))

    def _group(self, group: tuple[str, ...], everyone: set[str], accusative: bool) -> str:
        known = all(species in self.characters for species in group)
        pronoun = self._pronoun(group, everyone) if known else None
        if pronoun and self.rng.random() < P_PRONOUN:
            return ACCUSATIVE[pronoun] if accusative else pronoun
        names = [self._name(species) for species in group]
        return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]

    def _pronoun(self, group: tuple[str, ...], everyone: set[str]) -> str | None:
        if len(group) > 1:
            return "they" if set(group) == everyone else None
        pronoun = CHARACTERS[group[0]].pronoun
        candidates = [species for species in self.characters if CHARACTERS[species].pronoun == pronoun]
        return pronoun if candidates == [group[0]] else None

    def _name(self, species: str) -> str:
        if species in self.characters:
            return str(self.rng.choice(self.characters[species]))
        p, name = self.rng.random(), CHARACTERS[species].name
        phrase = next(phrase for limit, phrase in _INTRODUCTIONS if p < limit)
        self.characters[species] = [
            reference for reference, slot in ((name, "{name}"), (f"the {species}", "{species}")) if slot in phrase
        ]
        return phrase.format(species=species, name=name)

    def _thing(self, thing: str) -> str:
        if thing not in self.things:
            self.things.append(thing)
            return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
        return "it" if self.things == [thing] and self.rng.random() < P_PRONOUN else f"the {thing}"
