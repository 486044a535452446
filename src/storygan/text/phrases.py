"""Phrases of free text become single words: 'three steps to the left of' becomes '<left>', with 3 steps."""

from __future__ import annotations

import re

from storygan.text.clevr import ATTRIBUTES

SYNONYMS = {
    "large": "big bigger huge giant enormous massive great larger",
    "small": "little smaller tiny mini wee",
    "gray": "grey ash",
    "red": "crimson scarlet ruby",
    "blue": "navy azure cobalt",
    "green": "emerald olive lime",
    "brown": "chocolate chestnut tan",
    "purple": "violet lilac plum",
    "cyan": "turquoise teal aqua",
    "rubber": "matte matt dull rubbery",
    "metal": "metallic shiny glossy polished steel iron chrome mirrored reflective",
    "cube": "box block die dice",
    "sphere": "ball globe orb marble",
    "cylinder": "can tube barrel drum column pillar tin",
    "gray metal": "silver silvery",
    "yellow metal": "gold golden",
}
WORDS: dict[str, tuple[str, ...]] = {word: (word,) for values in ATTRIBUTES.values() for word in values}
WORDS |= {word: tuple(meaning.split()) for meaning, words in SYNONYMS.items() for word in words.split()}
"""Each word for attributes, and their values."""
ATTRIBUTE_OF = {value: name for name, values in ATTRIBUTES.items() for value in values}
SHAPE_WORDS = {word for word, values in WORDS.items() if ATTRIBUTE_OF[values[0]] == "shape"}
NUMBERS = {"a": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "few": 3.0, "couple": 2.0, "half": 0.5}
"""Of steps; a step is one scene unit."""
SIDE = "left|right|back|front"
PHRASES: list[tuple[str, str]] = [
    (r"\(.*?\)", " "),
    (r"\b(i|we|you)(['’]d| would)? like\b", " "),
    (r"[’']s\b", " 's"),
    (r"[,;:]", " , "),
    (r"[^\w', ]|_", " "),
    (r"\bits (left|right)\b", r"\1 of it"),
    (r"\b(the (?:\w+ )*\w+) 's (left|right)\b", r"\2 of \1"),
    (r"'(?:s|d|ll|ve)?", " "),
    (r" +", " "),
    (r"\blight blue\b", "cyan"),
    (r"\ba (?:little|bit) (?=(?:to|on|in|left|right|behind|further)\b)", ""),
    (r"\b(?:same as|version of|copy of|like)(?= (?:the|it|that)\b)", "same <like>"),
    (r"\b(left|right) hand\b", r"\1"),
    (r"\b(rear|background|top(?! of\b)|upper)\b", "back"),
    (r"\b(foreground|bottom|lower)\b", "front"),
    (rf"\bon (?:it|top of|the (?:\w+ )?(?:{'|'.join(SHAPE_WORDS)}))\b", "<on>"),
    (r"\bof the (floor|scene|picture|image|room|stage|ground|frame)\b", ""),
    (r"\b(close to|near|towards?) the (camera|viewer)\b", "front"),
    (r"\bfar (away )?from the (camera|viewer)\b", "back"),
    (r"\b(in the distance|far away|far off)\b", "far back"),
    (r"\b(center|centre|middle)\b", "middle"),
    (r"\bmiddle (of|at|on|in) the (left|right|back|front)\b", r"\2"),
    (r"\bbehind the middle\b", "back"),
    (rf"\b({SIDE}) of the middle\b", r"\1"),
    (rf"\b({SIDE}) (side )?(edge|end|border)\b", r"far \1"),
    (r"\b(left|right)most\b", r"far \1"),
    (rf"\b(?:extreme|very|far) ({SIDE})\b(?! of\b)", r"far_\1"),
    (r"\b(?:in |midway |halfway )?between\b", "<between>"),
    (r"\b(behind|beyond|past)\b(?! and\b)", "<back>"),
    (r"\bbehind\b", "back"),
    (r"\bin front of\b|\bahead of\b|\bbefore\b", "<front>"),
    (rf"\b({SIDE})(?: and)?(?: (?:to|on|at|in))?(?: the)? ({SIDE}) (?:of\b|<front>)", r"<\1+\2>"),
    (rf"\b({SIDE})(?: side)? of\b", r"<\1>"),
    (rf"\b(?:near|close) (?:to )?(?=(the )?(middle|corner|far_\w+|{SIDE})\b)", ""),
    (r"\bright (next|near|close)\b", r"\1"),
    (r"\b(next to|near to|near|close to|touching|beside|alongside|adjacent to|by)\b", "<near>"),
    (r"\b(?<!the )(?<!far )(?<!back )(?<!front )(?<!to )(?<!and )right (?=<|in\b|at\b|on\b)", ""),
    (r"\bfar (?=(to )?(the )?<)", "three steps "),
]
"""Replacements, in this order: of spelling, of places, and of relations, which become <left>, <back+left>, <near>."""
STEPS = re.compile(rf"\b({'|'.join(NUMBERS)}|\d+(?:\.\d+)?)(?: of| a)? (?:steps?|units?|paces?)(?: away)?\b")


def rewrite(sentence: str) -> tuple[list[str], float | None]:
    """Return the words of a sentence, phrases as single words, and the number of steps that it names, if any."""
    text, steps = f" {sentence.lower()} ", None
    for pattern, replacement in PHRASES:
        text = re.sub(pattern, replacement, text)
    if found := STEPS.search(text):
        steps = NUMBERS.get(found[1]) or float(found[1])
        text = text[: found.start()] + text[found.end() :]
    return text.split(), steps
