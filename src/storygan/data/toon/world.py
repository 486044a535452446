"""The world of Toon-SV: who and what there is, and how a story happens. No words, no pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Character:
    """One of the nine: a species, which is also its label, a name and a pronoun, 'she' or 'he'."""

    species: str
    name: str
    pronoun: str


CAST = (
    Character("fox", "Fay", "she"),
    Character("bear", "Ben", "he"),
    Character("rabbit", "Rosie", "she"),
    Character("frog", "Gus", "he"),
    Character("pig", "Penny", "she"),
    Character("mouse", "Max", "he"),
    Character("chick", "Coco", "she"),
    Character("panda", "Bao", "he"),
    Character("unicorn", "Una", "she"),
)
CHARACTERS = {character.species: character for character in CAST}
PLACES = ("meadow", "forest", "beach", "snowy field", "desert", "village", "farm", "living room")
THINGS = (
    "ball",
    "kite",
    "balloon",
    "umbrella",
    "banana",
    "book",
    "flower",
    "present",
    "guitar",
    "carrot",
    "hat",
    "cake",
)
SKIES = ("sunny", "cloudy", "rain", "snow", "evening", "night")
GROUPS = {"character": tuple(CHARACTERS), "place": PLACES, "thing": THINGS}
LABELS = tuple(f"{group}: {name}" for group, names in GROUPS.items() for name in names)
"""K = 29; characters first, as in Pororo-SV. A name says its group, for the metrics of each (`label_metrics`)."""
SNOW_FALLS = ("snowy field", "forest", "village", "living room")
NEXT_SKY = {"evening": ("night",), "night": ("sunny",)}  # after the others any may come
NO_RAIN = ("snowy field", "desert")
PAIRS = frozenset((who.species, PLACES[(3 * i + 1) % len(PLACES)]) for i, who in enumerate(CAST))
"""(species, place) that only the test part 'pair' shows: one place of each character."""

SLOTS = (0.18, 0.5, 0.82)
"""Where characters stand, in widths of the frame. A newcomer takes the first that is free, and a walk goes to the next
on the right, or from the last one back to the first: the story so far says who stands where."""
GAPS = (0.34, 0.66)  # where things lie: between the slots
MAX_THINGS = 2  # of a story


@dataclass(frozen=True)
class Actor:
    """A character in a frame. `facing` is 1 (right) or -1; `pose` one of stand, walk, wave, cheer, sleep."""

    species: str
    slot: int
    facing: int = 1
    pose: str = "stand"
    holds: str | None = None


@dataclass(frozen=True)
class Event:
    """What a frame tells: `kind`, who does it, to whom, with what, and for 'sky' and the opening the sky."""

    kind: str
    subjects: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    thing: str | None = None
    sky: str | None = None


@dataclass(frozen=True)
class Scene:
    """One frame: its event, and the world after it. `ground` has (thing, gap) pairs."""

    event: Event
    place: str
    sky: str
    actors: tuple[Actor, ...]
    ground: tuple[tuple[str, int], ...] = ()

    def labels(self) -> list[int]:
        """0 or 1 for each of LABELS: what the frame shows."""
        there = {self.place, *(a.species for a in self.actors), *(a.holds for a in self.actors)}
        there |= {thing for thing, _ in self.ground}
        return [int(name in there) for names in GROUPS.values() for name in names]


def sample_story(rng: np.random.Generator, T: int = 5, unseen_pair: bool = False) -> list[Scene]:
    """T scenes. No one stands in a place of PAIRS, except, with `unseen_pair`, one character throughout.

    The first scene tells place, sky and one or two characters; each later scene is one event.
    """
    place = str(rng.choice(PLACES))
    unseen = [species for species, where in sorted(PAIRS) if where == place]
    seen = [species for species in CHARACTERS if species not in unseen]
    first = str(rng.choice(unseen if unseen_pair else seen))
    story = Story(rng, place, [species for species in seen if species != first], stays=first if unseen_pair else None)
    scenes = [story.begin(first)]
    while len(scenes) < T:
        scenes.append(story.go_on())
    return scenes


_WEIGHTS = {
    "enter": 5.0,
    "leave": 2.0,
    "walk": 2.0,
    "meet": 2.5,
    "find": 3.0,
    "pick_up": 9.0,
    "give": 16.0,
    "put_down": 3.0,
    "sleep": 2.0,
    "wake": 5.0,
    "cheer": 2.0,
    "cheer_all": 2.0,
    "sky": 2.0,
}


@dataclass
class Story:
    """A world under way. `extras` are the characters who may still come; `stays` never leaves."""

    rng: np.random.Generator
    place: str
    extras: list[str]
    stays: str | None = None
    sky: str = "sunny"
    actors: dict[str, Actor] = field(default_factory=dict)
    ground: dict[str, int] = field(default_factory=dict)  # thing -> gap
    known: list[str] = field(default_factory=list)  # things of the story so far
    last: Event = Event("")

    def begin(self, first: str) -> Scene:
        """The opening: one character, one with a thing, or two."""
        self.sky = str(self.rng.choice(self.skies()))
        self._add(first)
        kind = str(self.rng.choice(["open", "open_with", "open_two"], p=[0.45, 0.2, 0.35]))
        others: tuple[str, ...] = ()
        thing = None
        if kind == "open_with":
            thing = self._new_thing()
            self._change(first, holds=thing)
        if kind == "open_two":
            others = (self._newcomer(),)
            self._add(others[0])
        return self._tell(Event(kind, (first, *others), thing=thing, sky=self.sky))

    def go_on(self) -> Scene:
        """One more event, drawn among all that can happen now."""
        for actor in self.actors.values():
            if actor.pose != "sleep":
                self._change(actor.species, pose="stand")
        choices = [event for event in self.possible() if not _repeats(event, self.last)]
        number = {kind: sum(event.kind == kind for event in choices) for kind in _WEIGHTS}
        weights = np.array([_WEIGHTS[event.kind] / number[event.kind] for event in choices])
        weights *= [2.0 if event.subjects == self.last.subjects else 1.0 for event in choices]
        event = choices[int(self.rng.choice(len(choices), p=weights / weights.sum()))]
        if event.kind == "enter":
            event = replace(event, subjects=(self._newcomer(),))
        if event.kind == "find":
            event = replace(event, thing=self._new_thing())
        self._happen(event)
        return self._tell(event)

    def skies(self) -> list[str]:
        """The skies that this place can have."""
        never = {"rain": self.place in NO_RAIN, "snow": self.place not in SNOW_FALLS}
        return [sky for sky in SKIES if not never.get(sky)]

    def possible(self) -> Iterator[Event]:
        """Every event that the world allows now; the newcomer of 'enter' and the thing of 'find' are drawn later."""
        everyone = tuple(self.actors)
        awake = [actor for actor in self.actors.values() if actor.pose != "sleep"]
        if len(everyone) < len(SLOTS) and self.extras:
            yield Event("enter", (), everyone)
        for actor in awake:
            yield from self._alone(actor)
            for other in awake:
                if actor.holds and other is not actor and not other.holds:
                    yield Event("give", (actor.species,), (other.species,), actor.holds)
        for i, one in enumerate(awake):
            for two in awake[i + 1 :]:
                yield Event("meet", (one.species, two.species))
        if len(awake) == len(everyone) > 1:
            yield Event("cheer_all", everyone)
        for actor in self.actors.values():
            if actor.pose == "sleep":
                yield Event("wake", (actor.species,))
        for sky in NEXT_SKY.get(self.sky, tuple(self.skies())):
            if sky != self.sky:
                yield Event("sky", sky=sky)

    def _alone(self, actor: Actor) -> Iterator[Event]:
        who = (actor.species,)
        others = tuple(species for species in self.actors if species != actor.species)
        gap = self._free_gap(actor)
        yield Event("cheer", who)
        if others and actor.species != self.stays:
            yield Event("leave", who, others)
        if len(self.actors) < len(SLOTS):
            yield Event("walk", who)
        if gap is not None and not actor.holds and len(self.known) < MAX_THINGS:
            yield Event("find", who)
        if actor.holds:
            if gap is not None:
                yield Event("put_down", who, thing=actor.holds)
            return
        if self._bed(actor) and all(other.pose != "sleep" for other in self.actors.values()):
            yield Event("sleep", who)
        for thing, lies in self.ground.items():
            if actor.slot in (lies, lies + 1):
                yield Event("pick_up", who, thing=thing)

    def _free_gap(self, actor: Actor) -> int | None:
        taken = {*self.ground.values(), *(_head(other) for other in self.actors.values() if other.pose == "sleep")}
        near = [gap for gap in (actor.slot - 1, actor.slot) if 0 <= gap < len(GAPS)]
        return next((gap for gap in near if gap not in taken), None)

    def _bed(self, actor: Actor) -> Actor | None:
        """The actor asleep where nothing lies before the head, or None."""
        sleepers = (replace(actor, pose="sleep", facing=facing) for facing in (1, -1))
        inward = [sleeper for sleeper in sleepers if sleeper.facing == _inward(actor.slot, sleeper.facing)]
        return next((sleeper for sleeper in inward if _head(sleeper) not in self.ground.values()), None)

    def _happen(self, event: Event) -> None:
        if event.kind == "sky":
            self.sky = str(event.sky)
            return
        who = event.subjects[0]
        if event.kind == "enter":
            self._add(who)
            return
        actor = self.actors[who]
        match event.kind:
            case "leave":
                del self.actors[who]
            case "walk":
                free = self._free_slots()
                slot = next((slot for slot in free if slot > actor.slot), free[0])
                self._change(who, slot=slot, facing=1 if slot > actor.slot else -1, pose="walk")
            case "meet":
                self._face(*event.subjects)
                for species in event.subjects:
                    self._change(species, pose="wave")
            case "find" | "put_down":
                gap = self._free_gap(actor)
                assert gap is not None
                assert event.thing is not None
                self.ground[event.thing] = gap
                self._change(who, facing=1 if gap == actor.slot else -1)
                if event.kind == "put_down":
                    self._change(who, holds=None)
            case "pick_up":
                assert event.thing is not None
                self._change(who, facing=1 if self.ground.pop(event.thing) == actor.slot else -1, holds=event.thing)
            case "give":
                self._face(who, event.others[0])
                self._change(who, holds=None)
                self._change(event.others[0], holds=event.thing)
            case "sleep":
                bed = self._bed(actor)
                assert bed is not None
                self.actors[who] = bed
            case "cheer":
                self._change(who, pose="cheer")
            case "wake":
                self._change(who, pose="stand")
            case "cheer_all":
                for species in event.subjects:
                    self._change(species, pose="cheer")

    def _newcomer(self) -> str:
        """Someone new, rather of the other pronoun, so that pronouns stay clear."""
        there = {CHARACTERS[species].pronoun for species in self.actors}
        weights = np.array([1.0 if CHARACTERS[species].pronoun in there else 2.5 for species in self.extras])
        species = str(self.rng.choice(self.extras, p=weights / weights.sum()))
        self.extras.remove(species)
        return species

    def _new_thing(self) -> str:
        thing = str(self.rng.choice([thing for thing in THINGS if thing not in self.known]))
        self.known.append(thing)
        return thing

    def _free_slots(self) -> list[int]:
        taken = {actor.slot for actor in self.actors.values()}
        return [slot for slot in range(len(SLOTS)) if slot not in taken]

    def _add(self, species: str) -> None:
        slot = self._free_slots()[0]
        self.actors[species] = Actor(species, slot, _inward(slot, -1))

    def _change(self, species: str, **changes: object) -> None:
        self.actors[species] = replace(self.actors[species], **changes)  # type: ignore[arg-type]

    def _face(self, one: str, two: str) -> None:
        right = 1 if self.actors[two].slot > self.actors[one].slot else -1
        self._change(one, facing=right)
        self._change(two, facing=-right)

    def _tell(self, event: Event) -> Scene:
        self.last = event
        for actor in self.actors.values():
            if actor.holds:  # what a hand holds must not leave the frame
                self._change(actor.species, facing=_inward(actor.slot, actor.facing))
        return Scene(event, self.place, self.sky, tuple(self.actors.values()), tuple(self.ground.items()))


def _inward(slot: int, otherwise: int) -> int:
    return {0: 1, len(SLOTS) - 1: -1}.get(slot, otherwise)


def _head(sleeper: Actor) -> int | None:
    """The gap where a sleeper's head lies, if any: behind the facing side."""
    return None if sleeper.slot != 1 else 0 if sleeper.facing == 1 else 1


def _repeats(event: Event, last: Event) -> bool:
    """The same once more, or undone at once."""
    undone = {("sleep", "wake"), ("pick_up", "put_down"), ("put_down", "pick_up"), ("cheer", "cheer_all")}
    if event.kind in ("enter", "sky", "find") and event.kind == last.kind:
        return True
    return event.subjects == last.subjects and (event.kind == last.kind or (last.kind, event.kind) in undone)
