"""Simulate the stories of Toon-SV: characters, places, things, and the events that change them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Character:
    """A character: its species, which is also its label, its name and its pronoun, 'she' or 'he'."""

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
THINGS = tuple("ball kite balloon umbrella banana book flower present guitar carrot hat cake".split())  # noqa: SIM905
SKIES = ("sunny", "cloudy", "rain", "snow", "evening", "night")
GROUPS = {"character": tuple(CHARACTERS), "place": PLACES, "thing": THINGS}
LABELS = tuple(f"{group}: {name}" for group, names in GROUPS.items() for name in names)
"""K = 29; characters first, as in Pororo-SV. The prefix is the group, for the metrics per group."""
SNOW_PLACES = ("snowy field", "forest", "village", "living room")
NEXT_SKY = {"evening": ("night",), "night": ("sunny",)}  # any sky may follow the others
DRY_PLACES = ("snowy field", "desert")
PAIRS = frozenset((who.species, PLACES[(3 * i + 1) % len(PLACES)]) for i, who in enumerate(CAST))
"""(species, place) that occur only in the test part 'pair': one place per character."""

SLOTS = (0.18, 0.5, 0.82)
"""Positions of characters, in widths of the frame.

A newcomer takes the first free one. A walk goes to the next free one on the right, or from the last back to the first.
So the story so far determines the positions.
"""
GAPS = (0.34, 0.66)  # positions of things on the ground: between the slots
MAX_THINGS = 2  # per story


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
    """The event of a frame: its kind, subjects, other participants, thing, and for 'sky' and the opening the sky."""

    kind: str
    subjects: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    thing: str | None = None
    sky: str | None = None


@dataclass(frozen=True)
class Scene:
    """One frame: its event, and the state after it. `ground` has (thing, gap) pairs."""

    event: Event
    place: str
    sky: str
    actors: tuple[Actor, ...]
    ground: tuple[tuple[str, int], ...] = ()

    def labels(self) -> list[int]:
        """Return 0 or 1 for each of LABELS: what the frame shows."""
        present = {self.place, *(a.species for a in self.actors), *(a.holds for a in self.actors)}
        present |= {thing for thing, _ in self.ground}
        return [int(name in present) for names in GROUPS.values() for name in names]


def sample_story(rng: np.random.Generator, T: int = 5, unseen_pair: bool = False) -> list[Scene]:
    """Simulate a story of T scenes. No character is in its place of PAIRS, except one throughout with `unseen_pair`.

    The first scene introduces place, sky and one or two characters. Each later scene has one event.
    """
    place = str(rng.choice(PLACES))
    unseen = [species for species, where in sorted(PAIRS) if where == place]
    seen = [species for species in CHARACTERS if species not in unseen]
    first = str(rng.choice(unseen if unseen_pair else seen))
    extras = [species for species in seen if species != first]
    simulation = Simulation(rng, place, extras, resident=first if unseen_pair else None)
    return [simulation.first_scene(first), *(simulation.next_scene() for _ in range(T - 1))]


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
class Simulation:
    """The state of a story. `extras` are the characters who may still enter; `resident` never leaves."""

    rng: np.random.Generator
    place: str
    extras: list[str]
    resident: str | None = None
    sky: str = "sunny"
    actors: dict[str, Actor] = field(default_factory=dict)
    ground: dict[str, int] = field(default_factory=dict)  # thing -> gap
    known: list[str] = field(default_factory=list)  # things of the story so far
    last: Event = Event("")

    def first_scene(self, first: str) -> Scene:
        """Return the opening: one character, one with a thing, or two."""
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
        return self._scene(Event(kind, (first, *others), thing=thing, sky=self.sky))

    def next_scene(self) -> Scene:
        """Sample one of all events that are possible now, and return the scene after it."""
        for actor in self.actors.values():
            if actor.pose != "sleep":
                self._change(actor.species, pose="stand")
        choices = [event for event in self.possible_events() if not _repeats(event, self.last)]
        counts = {kind: sum(event.kind == kind for event in choices) for kind in _WEIGHTS}
        weights = np.array([_WEIGHTS[event.kind] / counts[event.kind] for event in choices])
        weights *= [2.0 if event.subjects == self.last.subjects else 1.0 for event in choices]
        event = choices[int(self.rng.choice(len(choices), p=weights / weights.sum()))]
        if event.kind == "enter":
            event = replace(event, subjects=(self._newcomer(),))
        if event.kind == "find":
            event = replace(event, thing=self._new_thing())
        self._apply(event)
        return self._scene(event)

    def skies(self) -> list[str]:
        """Return the skies that this place can have."""
        excluded = {"rain": self.place in DRY_PLACES, "snow": self.place not in SNOW_PLACES}
        return [sky for sky in SKIES if not excluded.get(sky)]

    def possible_events(self) -> Iterator[Event]:
        """Yield every event that is possible now; the newcomer of 'enter' and the thing of 'find' are sampled later."""
        everyone = tuple(self.actors)
        awake = [actor for actor in self.actors.values() if actor.pose != "sleep"]
        if len(everyone) < len(SLOTS) and self.extras:
            yield Event("enter", (), everyone)
        for actor in awake:
            yield from self._events_of(actor)
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

    def _events_of(self, actor: Actor) -> Iterator[Event]:
        subject = (actor.species,)
        others = tuple(species for species in self.actors if species != actor.species)
        gap = self._free_gap(actor)
        yield Event("cheer", subject)
        if others and actor.species != self.resident:
            yield Event("leave", subject, others)
        if len(self.actors) < len(SLOTS):
            yield Event("walk", subject)
        if gap is not None and not actor.holds and len(self.known) < MAX_THINGS:
            yield Event("find", subject)
        if actor.holds:
            if gap is not None:
                yield Event("put_down", subject, thing=actor.holds)
            return
        if self._asleep(actor) and all(other.pose != "sleep" for other in self.actors.values()):
            yield Event("sleep", subject)
        for thing, at in self.ground.items():
            if actor.slot in (at, at + 1):
                yield Event("pick_up", subject, thing=thing)

    def _free_gap(self, actor: Actor) -> int | None:
        taken = {*self.ground.values(), *(_head(other) for other in self.actors.values() if other.pose == "sleep")}
        near = [gap for gap in (actor.slot - 1, actor.slot) if 0 <= gap < len(GAPS)]
        return next((gap for gap in near if gap not in taken), None)

    def _asleep(self, actor: Actor) -> Actor | None:
        """Return the actor asleep with its head where nothing lies, or None."""
        sleepers = (replace(actor, pose="sleep", facing=facing) for facing in (1, -1))
        inward = [sleeper for sleeper in sleepers if sleeper.facing == _inward(actor.slot, sleeper.facing)]
        return next((sleeper for sleeper in inward if _head(sleeper) not in self.ground.values()), None)

    def _apply(self, event: Event) -> None:
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
                asleep = self._asleep(actor)
                assert asleep is not None
                self.actors[who] = asleep
            case "cheer":
                self._change(who, pose="cheer")
            case "wake":
                self._change(who, pose="stand")
            case "cheer_all":
                for species in event.subjects:
                    self._change(species, pose="cheer")

    def _newcomer(self) -> str:
        """Sample a new character, preferring another pronoun, so that pronouns stay unambiguous."""
        present = {CHARACTERS[species].pronoun for species in self.actors}
        weights = np.array([1.0 if CHARACTERS[species].pronoun in present else 2.5 for species in self.extras])
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

    def _scene(self, event: Event) -> Scene:
        self.last = event
        for actor in self.actors.values():
            if actor.holds:  # a thing that is held must stay inside the frame
                self._change(actor.species, facing=_inward(actor.slot, actor.facing))
        return Scene(event, self.place, self.sky, tuple(self.actors.values()), tuple(self.ground.items()))


def _inward(slot: int, otherwise: int) -> int:
    return {0: 1, len(SLOTS) - 1: -1}.get(slot, otherwise)


def _head(sleeper: Actor) -> int | None:
    """Return the gap where a sleeper's head lies, opposite to where it faces, or None."""
    return None if sleeper.slot != 1 else 0 if sleeper.facing == 1 else 1


def _repeats(event: Event, last: Event) -> bool:
    """Return whether an event repeats or undoes the last one."""
    inverse = {("sleep", "wake"), ("pick_up", "put_down"), ("put_down", "pick_up"), ("cheer", "cheer_all")}
    if event.kind in ("enter", "sky", "find") and event.kind == last.kind:
        return True
    return event.subjects == last.subjects and (event.kind == last.kind or (last.kind, event.kind) in inverse)
