"""Free text for CLEVR-SV: turns 'a small shiny ball left of the cube' into the canonical sentence of `text/clevr.py`.

A sentence describes one object: its attributes, by synonyms and with defaults, and its place, by words ('at the back
left') or by its relation to objects described before ('two steps left of it'). It is read in four steps: phrases
become single words (`text/phrases.py`), unknown words are refused, relations take their references, and what is left
are attributes and directions. The same sentences always give the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import dist, hypot
from typing import NoReturn

from storygan.clevr.constants import RADII
from storygan.errors import UsageError
from storygan.text.clevr import (
    ATTRIBUTES,
    MAX_LENGTH,
    ClevrObject,
    format_sentence,
    parse_sentence,
    quote,
    split_position,
)
from storygan.text.phrases import ATTRIBUTE_OF, SHAPE_WORDS, WORDS, rewrite
from storygan.text.placement import EVERYWHERE, GAP, MARGIN, View, cell, place, view_of

DEFAULTS = {"size": "large", "colour": "gray", "material": "rubber"}
"""Of attributes that a sentence does not name; the shape has none."""
NEAREST = {
    "red, purple": "pink magenta rose",
    "red, yellow": "orange",
    "gray": "black white",
    "gray, yellow": "beige cream",
    "cube, cylinder": "pyramid prism",
    "cylinder": "cone disc disk",
    "sphere": "ring torus egg",
    "rubber, metal": "wooden wood plastic glass stone paper",
    "large, small": "medium normal",
    "behind, in front of": "above over beneath below under inside onto",
}
"""The nearest known words of some that are not known."""
DIRECTIONS: dict[str, View] = {"left": (-1, 0), "right": (1, 0), "back": (0, 1), "front": (0, -1)}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
PAIRS, ALL = {"two", "both", "them", "these"}, {"everything", "all"}
HEADS = {"it", "one", "object", "thing", "objects", "things", *PAIRS, *ALL}
"""Nouns and pronouns that stand for an object described before; so do the words for shapes."""
COPIES = {"another", "same", "again", "more", "twin"}
DETERMINERS = {"the", "a", "an", "that", "this"}
MANY = {*PAIRS, "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "some", "many", "few"}
FILLERS = """
    a an the and at on in to with of is are has have was that this which it its there here now then next finally also
    too please i we you see want would like draw put place add show let us me made stands stand standing sits sit
    sitting lies lie lying rests comes appears placed but side sides very quite just directly bit little exactly
    immediately slightly right one object thing something coloured colored dark bright pale light deep hand as for
    close somewhere half part area round square row further
""".split()  # noqa: SIM905
"""Words that a sentence may have and that change nothing by themselves."""
SPREAD = [(0, 0), (-2, 0), (2, 0), (0, 2), (0, -2), (-1, 1), (1, 1), (-1, -1), (1, -1), (-1, 0), (1, 0), (0, 1)]
"""Cells for an object without a place: the first that is free."""


@dataclass(frozen=True)
class Relation:
    """A relation to objects: `sides` are of `DIRECTIONS`, or `near`, or `between` two."""

    sides: tuple[str, ...]
    to: tuple[ClevrObject, ...]


@dataclass
class Parts:
    """What the words of a sentence say."""

    values: dict[str, str] = field(default_factory=dict)
    """By attribute."""
    relations: list[Relation] = field(default_factory=list)
    sides: dict[str, int] = field(default_factory=dict)
    """By direction, 1, or 2 at the far end."""
    words: set[str] = field(default_factory=set)
    """Those that are left: `middle`, `another`, fillers."""


def understand(story: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """Turn the sentences of a story into canonical ones; those of the grammar of `text/clevr.py` stay as they are.

    Args:
        story: n sentences.
        before: canonical sentences that come before them.

    Returns:
        n sentences.

    Raises:
        UsageError: a sentence is not understood, or there is no room for its object.
    """
    objects = [parse_sentence(sentence) for sentence in before]
    understood = []
    for sentence in story:
        understood.append(read_sentence(sentence, objects))
        objects.append(parse_sentence(understood[-1]))
    return understood


def read_sentence(sentence: str, before: Sequence[ClevrObject]) -> str:
    """Turn a sentence into the canonical one.

    Args:
        sentence: in free text; one of the grammar of `text/clevr.py` is returned as it is.
        before: the objects that the story has described so far.

    Raises:
        UsageError: the sentence is not understood, or there is no room for its object.
    """
    try:
        parse_sentence(sentence)
        return sentence
    except UsageError:
        if len(sentence) > MAX_LENGTH:
            raise
    return format_sentence(_Reader(sentence, before).read())


class _Reader:
    """Reads one sentence."""

    def __init__(self, sentence: str, before: Sequence[ClevrObject]) -> None:
        self.sentence, self.quoted, self.before = sentence, quote(sentence), tuple(before)
        self.model: ClevrObject | None = None  # the object after 'like'
        self.bracketed = "(" in sentence or ")" in sentence
        self.words, self.steps = rewrite(sentence)

    def read(self) -> ClevrObject:
        """Return the object with its place."""
        self.require_known()
        parts = self.parts()
        thing = self.describe(parts)
        if self.bracketed:
            _, x, y, _ = split_position(self.sentence.strip().removesuffix("."), self.sentence)
            return replace(thing, x=x, y=y)
        if self.steps and parts.sides and not parts.relations and self.before:  # 'two steps to the left'
            parts.relations.append(Relation(tuple(parts.sides), self.before[-1:]))
            parts.sides = {}
        return self.put(thing, parts)

    # ---- words ----

    def require_known(self) -> None:
        """Refuse the first unknown word, with the nearest known ones."""
        if "<on>" in self.words:
            raise UsageError(f"on top of an object in {self.quoted}: say behind, in front of or next to it")
        for word in self.words:
            if word in KNOWN or word.startswith("<"):
                continue
            if word in MANY or word.removesuffix("s") in SHAPE_WORDS or word.removesuffix("es") in SHAPE_WORDS:
                self.several(word)
            near = next((near for near, words in NEAREST.items() if word in words.split()), "")
            near = near or ", ".join(get_close_matches(word, [*WORDS, *DIRECTIONS], 3, 0.75))
            known = "; ".join(f"{name}: {', '.join(values)}" for name, values in ATTRIBUTES.items())
            raise UsageError(
                f"unknown word {quote(word)} in {self.quoted}: {'nearest are' if near else 'known are'} {near or known}"
            )

    def several(self, word: str) -> NoReturn:
        raise UsageError(f"write one object a sentence: {word!r} in {self.quoted} are several")

    def parts(self) -> Parts:
        """Take relations with their references; sort what is left."""
        parts, words = Parts(), list(self.words)
        while words:
            word = words.pop(0)
            if word == "<between>":
                parts.relations.append(Relation(("between",), self.two(words)))
            elif word == "<like>":
                self.model = self.reference(words, word)[-1]
            elif word.startswith("<"):
                parts.relations.append(Relation(tuple(word[1:-1].split("+")), self.reference(words, word)))
            elif word in WORDS:
                for value in WORDS[word]:
                    name = ATTRIBUTE_OF[value]
                    if parts.values.setdefault(name, value) != value:
                        two = f"{parts.values[name]!r} and {value!r}"
                        raise UsageError(f"two {name}s in {self.quoted}, {two}: keep one")
            elif word.removeprefix("far_") in DIRECTIONS:
                parts.sides[word.removeprefix("far_")] = 2 if word.startswith("far_") else 1
            elif word in MANY:
                self.several(word)
            else:
                parts.words.add(word)
        for one, other in (("left", "right"), ("back", "front")):
            if one in parts.sides and other in parts.sides:
                raise UsageError(f"{one} and {other} in {self.quoted}: keep one")
        if "corner" in parts.words:
            if len(parts.sides) != 2:
                raise UsageError(f"which corner in {self.quoted}? say back left, back right, front left or front right")
            parts.sides = dict.fromkeys(parts.sides, 2)
        return parts

    # ---- references to objects described before ----

    def two(self, words: list[str]) -> tuple[ClevrObject, ...]:
        """Take the references of 'between': 'them', 'the two', or 'the ball and the cube'."""
        start = next((word for word in words if word not in DETERMINERS), "")
        if start not in PAIRS and "and" in words:
            first = self.reference(words, "between")
            if words[:1] == ["and"]:
                words.pop(0)
                return first + self.reference(words, "between")
            raise UsageError(f"between what in {self.quoted}? name two objects")
        if len(self.before) < 2:
            raise UsageError(f"between needs two objects before {self.quoted}")
        if start in PAIRS:
            self.reference(words, "between")
        return self.before[-2:]

    def reference(self, words: list[str], relation: str) -> tuple[ClevrObject, ...]:
        """Take a noun phrase or a pronoun from the start of `words`, and return the objects it stands for."""
        taken: list[str] = []
        values: set[str] = set()
        while words:
            word = words[0]
            first = not values and not set(taken) & ORDINALS.keys()
            if not (first and word in DETERMINERS) and word not in {*WORDS, *ORDINALS, *HEADS}:
                break
            taken.append(words.pop(0))
            values |= set(WORDS.get(word, ()))
            if word in SHAPE_WORDS or word in HEADS - PAIRS or (word in PAIRS and words[:1] != ["objects"]):
                break
        if not taken:
            word = relation.strip("<>").replace("back", "behind")
            raise UsageError(f"{word} what in {self.quoted}? name an object described before")
        if set(taken) & ALL:
            return self.before or self.missing("object")
        if set(taken) & PAIRS:
            return self.before[-2:] or self.missing("object")
        found = [thing for thing in self.before if values <= {thing.size, thing.colour, thing.material, thing.shape}]
        named = " ".join(value for allowed in ATTRIBUTES.values() for value in allowed if value in values)
        named += "" if values & set(ATTRIBUTES["shape"]) else " object"
        for ordinal in set(taken) & ORDINALS.keys():
            if ORDINALS[ordinal] >= len(found):
                self.missing(f"{ordinal} {named.strip()}")
            return (found[ORDINALS[ordinal]],)
        return tuple(found[-1:]) or self.missing(named.strip())

    def missing(self, named: str) -> NoReturn:
        described = ", ".join(f"{thing.size} {thing.colour} {thing.shape}" for thing in self.before[-6:]) or "nothing"
        raise UsageError(f"there is no {named} before {self.quoted}: described so far: {described}")

    # ---- the object ----

    def describe(self, parts: Parts) -> ClevrObject:
        """Return the object with its attributes, those of an earlier one for 'another' or 'one', and defaults."""
        shape = parts.values.get("shape")
        ellipsis = not parts.values and self.before and (parts.relations or parts.sides or "middle" in parts.words)
        defaults = dict(DEFAULTS)
        if parts.words & COPIES or (shape is None and ("one" in parts.words or ellipsis)):
            if not self.before:
                self.missing("object")
            alike = [thing for thing in self.before if thing.shape == shape]
            model = self.model or (alike or self.before)[-1]
            defaults = {name: getattr(model, name) for name in ATTRIBUTES}
        values = defaults | parts.values
        if "shape" not in values:
            raise UsageError(f"no shape in {self.quoted}: add one of {', '.join(ATTRIBUTES['shape'])}")
        return ClevrObject(**values, x=0.0, y=0.0)

    # ---- the place ----

    def put(self, thing: ClevrObject, parts: Parts) -> ClevrObject:
        """Return the object at the free place nearest to what the sentence says."""
        column = parts.sides.get("right", 0) - parts.sides.get("left", 0)
        row = parts.sides.get("back", 0) - parts.sides.get("front", 0)
        placed = None
        if parts.relations:
            meant = mean([self.wish(thing, relation) for relation in parts.relations])
            strict = [True] if len(parts.relations) == 1 and not parts.sides else []
            for mostly in (*strict, False):
                tests = [self.test(thing, relation, mostly) for relation in parts.relations]
                for wish in ([cell(column, row)] if parts.sides else []) + [meant]:
                    placed = placed or place(thing, wish, self.before, tests)
            name = " and ".join("+".join(relation.sides) for relation in parts.relations).replace("back", "behind")
        elif parts.sides or "middle" in parts.words:
            placed = place(thing, cell(column, row), self.before)
            name = " ".join(parts.sides) or "in the middle"
        else:
            tries = (place(thing, cell(*at), self.before, search=0.6) for at in SPREAD)
            placed, name = next(filter(None, tries), None), "on the floor"
            placed = placed or place(thing, cell(0, 0), self.before, search=EVERYWHERE)
        if placed is None:
            raise UsageError(f"no room {name} in {self.quoted}: the object would touch or hide another")
        return placed

    def wish(self, thing: ClevrObject, relation: Relation) -> View:
        """Return where the object should be."""
        views = [view_of(other) for other in relation.to]
        middle = mean(views)
        if relation.sides == ("between",):
            return middle
        apart = max(RADII[thing.size] + RADII[other.size] for other in relation.to) + GAP
        right, behind = (sum(DIRECTIONS.get(side, (0.5, 0))[k] for side in relation.sides) for k in (0, 1))
        if relation.sides == ("near",):
            right, behind = (1.0 if middle[0] <= 0 else -1.0), 0.0
        distance = (self.steps or apart + MARGIN) / hypot(right, behind)
        return middle[0] + distance * right, middle[1] + distance * behind

    def test(self, thing: ClevrObject, relation: Relation, mostly: bool) -> Callable[[View], bool]:
        """Return the test whether a place has the relation; `mostly`: it is more to that side than to another."""
        views = [view_of(other) for other in relation.to]
        if relation.sides == ("between",):
            reach = max(0.6, dist(views[0], views[-1]) / 3)
            return lambda view: dist(view, mean(views)) <= reach
        if relation.sides == ("near",):
            reach = RADII[thing.size] + max(RADII[other.size] for other in relation.to) + GAP + 0.8
            return lambda view: all(dist(view, other) <= reach for other in views)

        def holds(view: View) -> bool:
            for x, y in views:
                dx, dy = view[0] - x, view[1] - y
                along = [dx * DIRECTIONS[side][0] + dy * DIRECTIONS[side][1] for side in relation.sides]
                if min(along) < MARGIN or (mostly and len(along) == 1 and abs(dx) + abs(dy) > 2 * along[0]):
                    return False
            return True

        return holds


def mean(views: Sequence[View]) -> View:
    """Return the point in the middle of some."""
    return sum(x for x, _ in views) / len(views), sum(y for _, y in views) / len(views)


KNOWN = {*WORDS, *DIRECTIONS, *ORDINALS, *ALL, *HEADS, *COPIES, *FILLERS, "middle", "corner", ","}
KNOWN |= {f"far_{side}" for side in DIRECTIONS}
