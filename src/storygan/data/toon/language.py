"""Tells a story of scenes in English that leans on the story: the place once, then 'she', 'they' and 'it'.

A pronoun is used only where it can mean one thing: 'she' or 'he' where the story so far has one such character,
'they' for all who are there, 'it' where the story so far has one thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from storygan.data.toon.templates import AT, EVENTS, LINKS, SKIES, SKY, Wordings
from storygan.data.toon.world import CHARACTERS, Scene

PRONOUN, LINK = 0.85, 0.2  # how often, where it can be
ACCUSATIVE = {"she": "her", "he": "him", "they": "them"}
_NAMINGS = ((0.5, "{name} the {species}"), (0.7, "a {species}"), (0.85, "a {species} called {name}"), (1.0, "{name}"))


def tell_story(scenes: Sequence[Scene], rng: np.random.Generator, unseen: bool = False) -> list[str]:
    """One sentence a scene, from the wordings of every split, or with `unseen` from those of the test part alone."""
    teller = Teller(rng, unseen)
    return [teller.tell(scene) for scene in scenes]


@dataclass
class Teller:
    """What the listener has heard so far."""

    rng: np.random.Generator
    unseen: bool = False
    heard: dict[str, list[str]] = field(default_factory=dict)  # species -> how it may be called from now on
    things: list[str] = field(default_factory=list)

    def tell(self, scene: Scene) -> str:
        """The sentence of a scene; scenes come in the order of the story."""
        event = scene.event
        if event.kind == "sky":
            return self._pick(SKIES[str(event.sky)])
        wording = self._pick(EVENTS[event.kind])
        if self.heard and wording.startswith("{S}") and self.rng.random() < LINK:
            wording = f"{self.rng.choice(LINKS)} {wording}"
        there = {actor.species for actor in scene.actors}
        # in the order of the slots, so that a thing or a character is introduced before it is meant again
        say = {
            "S": lambda: self._who(event.subjects, there, accusative=False),
            "Sa": lambda: self._who(event.subjects, there, accusative=True),
            "O": lambda: self._who(event.others, there - set(event.subjects), accusative=True),
            "it": lambda: self._thing(str(event.thing)),
            "at": lambda: self._pick(AT[scene.place]),
            "sky": lambda: self._pick(SKY[scene.sky]),
        }
        sentence = re.sub(r"\{(\w+)\}", lambda slot: say[slot[1]](), wording)
        return sentence[0].upper() + sentence[1:]

    def _pick(self, wordings: Wordings) -> str:
        return str(self.rng.choice(wordings.unseen if self.unseen else wordings.seen))

    def _who(self, group: tuple[str, ...], everyone: set[str], accusative: bool) -> str:
        known = all(species in self.heard for species in group)
        pronoun = self._pronoun(group, everyone) if known else None
        if pronoun and self.rng.random() < PRONOUN:
            return ACCUSATIVE[pronoun] if accusative else pronoun
        names = [self._name(species) for species in group]
        return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]

    def _pronoun(self, group: tuple[str, ...], everyone: set[str]) -> str | None:
        if len(group) > 1:
            return "they" if set(group) == everyone else None
        pronoun = CHARACTERS[group[0]].pronoun
        alike = [species for species in self.heard if CHARACTERS[species].pronoun == pronoun]
        return pronoun if alike == [group[0]] else None

    def _name(self, species: str) -> str:
        if species in self.heard:
            return str(self.rng.choice(self.heard[species]))
        draw, name = self.rng.random(), CHARACTERS[species].name
        naming = next(naming for limit, naming in _NAMINGS if draw < limit)
        self.heard[species] = [
            call for call, slot in ((name, "{name}"), (f"the {species}", "{species}")) if slot in naming
        ]
        return naming.format(species=species, name=name)

    def _thing(self, thing: str) -> str:
        if thing not in self.things:
            self.things.append(thing)
            return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
        return "it" if self.things == [thing] and self.rng.random() < PRONOUN else f"the {thing}"
