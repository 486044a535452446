"""Check the story and the numbers that a visitor enters. No model runs here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import ClevrObject, format_sentence, parse_sentence
from storygan.text.free_text import read_sentence

Grammar = Callable[[str, Sequence[ClevrObject]], str]
"""Returns the canonical sentence of one in free text, after the objects described before."""
MAX_SAMPLES = 8
MAX_SEED = 2**31 - 1
MAX_CHARACTERS = 300
"""Largest number of characters of a sentence."""
MAX_CHECKED = 12
"""Sentences of a story that are checked, or 2 T if that is more."""
MAX_TEXT = MAX_CHECKED * MAX_CHARACTERS
"""Characters of a story."""


@dataclass(frozen=True)
class Line:
    """A sentence, its error, or "", and the object that it describes if it is one of CLEVR-SV."""

    sentence: str
    problem: str = ""
    thing: ClevrObject | None = None

    @property
    def canonical(self) -> str:
        """The sentence as the model reads it, or as it is if it is not understood."""
        return format_sentence(self.thing) if self.thing else self.sentence


@dataclass(frozen=True)
class Report:
    """The checked sentences of a story, and what prevents its generation, or ""."""

    lines: tuple[Line, ...]
    problem: str


def sentences_of(text: str) -> list[str]:
    """Split a text into sentences, one a line, without empty lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def text_of_file(text: str, source: str = "file") -> str:
    """Return the story in the text of a file or link, one sentence a line.

    Raises:
        UsageError: it has bytes that are no text, which the browser has replaced by U+FFFD, or is too long.
    """
    if "\0" in text or "\ufffd" in text[:MAX_TEXT]:
        raise UsageError(f"This {source} is not a story: choose plain text with one sentence on each line.")
    if len(text) > MAX_TEXT:
        raise UsageError(f"This {source} has more than {MAX_TEXT} characters.")
    return "\n".join(sentences_of(text))


def grammar_of(model: StoryGAN) -> Grammar | None:
    """Return the function that raises UsageError for an invalid sentence; None if the model takes any sentence."""
    is_clevr = model.sentence_encoder is not None and model.sentence_encoder.kind == "clevr"
    return read_sentence if is_clevr else None


def check_story(text: str, T: int, grammar: Grammar | None, before: Sequence[str] = ()) -> Report:
    """Check the text of a story for a model of T sentences; `before` are canonical sentences that come before it."""
    sentences = sentences_of(text)
    objects = [parse_sentence(sentence) for sentence in before] if grammar else []
    lines = tuple(_check(sentence, grammar, objects) for sentence in sentences[: max(2 * T, MAX_CHECKED)])
    invalid = [str(number) for number, line in enumerate(lines, 1) if line.problem]
    if not sentences:
        problem = "Write a sentence, or start from an example."
    elif invalid:
        problem = f"Please fix sentence{'s' if len(invalid) > 1 else ''} {', '.join(invalid)}."
    elif len(sentences) > 2 * T:
        problem = f"Remove sentences: this story has {len(sentences)}, and at most {2 * T} are possible."
    else:
        problem = ""
    return Report(lines, problem)


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return the number as an int. Raises UsageError unless it is a whole number in [low, high]."""
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value == int(value):
        return int(value)
    raise UsageError(f"{name} must be a whole number from {low} to {high}")


def _check(sentence: str, grammar: Grammar | None, objects: list[ClevrObject]) -> Line:
    """Check a sentence, and add its object to those described."""
    if len(sentence) > MAX_CHARACTERS:
        problem = f"this sentence has {len(sentence)} characters; the maximum is {MAX_CHARACTERS}"
        return Line(sentence[:MAX_CHARACTERS], problem)
    if grammar is None:
        return Line(sentence)
    try:
        objects.append(parse_sentence(grammar(sentence, objects)))
    except UsageError as error:
        return Line(sentence, str(error))
    return Line(sentence, "", objects[-1])
