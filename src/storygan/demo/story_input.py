"""Check the story and the numbers that a visitor enters. No model runs here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import ClevrObject, parse_sentence
from storygan.text.free_text import read_sentence

Grammar = Callable[[str, Sequence[ClevrObject]], str]
"""Returns the canonical sentence of one in free text, after the objects described before."""
MAX_SAMPLES = 8
MAX_SEED = 2**31 - 1
MAX_CHARACTERS = 300
"""Largest number of characters of a sentence."""
MAX_CHECKED = 12
"""Sentences of a story that are checked, or T if that is more."""
MAX_TEXT = MAX_CHECKED * MAX_CHARACTERS
"""Characters of a story."""


@dataclass(frozen=True)
class Line:
    """A sentence and its error, or ""."""

    sentence: str
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """The checked sentences of a story, and what is left to do before it can be generated, or ""."""

    lines: tuple[Line, ...]
    problem: str


def sentences_of(text: str) -> list[str]:
    """Split a text into sentences, one a line, without empty lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def text_of_file(text: str) -> str:
    """Return the story in a file's text, one sentence a line.

    Raises:
        UsageError: it has bytes that are no text, which the browser has replaced by U+FFFD, or is too long.
    """
    if "\0" in text or "\ufffd" in text[:MAX_TEXT]:
        raise UsageError("This file is not a story: choose plain text with one sentence on each line.")
    if len(text) > MAX_TEXT:
        raise UsageError(f"This file has more than {MAX_TEXT} characters.")
    return "\n".join(sentences_of(text))


def grammar_of(model: StoryGAN) -> Grammar | None:
    """Return the function that raises UsageError for an invalid sentence; None if the model takes any sentence."""
    is_clevr = model.sentence_encoder is not None and model.sentence_encoder.kind == "clevr"
    return read_sentence if is_clevr else None


def check_story(text: str, T: int, grammar: Grammar | None, before: Sequence[str] = ()) -> Report:
    """Check the text of a story for a model of T sentences; `before` are canonical sentences that come before it."""
    sentences = sentences_of(text)
    objects = [parse_sentence(sentence) for sentence in before] if grammar else []
    lines = tuple(
        Line(sentence[:MAX_CHARACTERS], _problem(sentence, grammar, objects))
        for sentence in sentences[: max(T, MAX_CHECKED)]
    )
    invalid = [number for number, line in enumerate(lines, 1) if line.problem]
    missing = T - len(sentences)
    if not sentences:
        problem = f"Write {_count(T)}, one on each line, or start from an example."
    elif invalid:
        numbers = ", ".join(map(str, invalid))
        problem = f"Please fix sentence{'s' if len(invalid) > 1 else ''} {numbers}."
    elif missing > 0:
        problem = f"Write {missing} more sentence{'s' if missing > 1 else ''}: this story needs {T}."
    elif missing < 0:
        problem = f"Remove {_count(-missing)}: this story has {len(sentences)} and needs {T}."
    else:
        problem = ""
    return Report(lines, problem)


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return the number as an int. Raises UsageError unless it is a whole number in [low, high]."""
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value == int(value):
        return int(value)
    raise UsageError(f"{name} must be a whole number from {low} to {high}")


def _problem(sentence: str, grammar: Grammar | None, objects: list[ClevrObject]) -> str:
    """Return what is wrong with a sentence, or "", and add its object to those described."""
    if len(sentence) > MAX_CHARACTERS:
        return f"this sentence has {len(sentence)} characters; the maximum is {MAX_CHARACTERS}"
    try:
        if grammar is not None:
            objects.append(parse_sentence(grammar(sentence, objects)))
    except UsageError as error:
        return str(error)
    return ""


def _count(n: int) -> str:
    return f"{n} sentence{'s' if n > 1 else ''}"
