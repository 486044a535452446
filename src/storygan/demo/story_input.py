"""Reading a story as it is typed: which sentence is wrong, and how. No model runs here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import parse_sentence

MAX_SAMPLES = 8
MAX_SEED = 2**31 - 1
MAX_CHARACTERS = 300  # of a sentence
MAX_SHOWN = 12  # sentences of a story that are looked at one by one, or as many as it needs
MAX_TEXT = MAX_SHOWN * MAX_CHARACTERS  # of a story, in characters


@dataclass(frozen=True)
class Line:
    """A sentence, and what is wrong with it (empty: nothing)."""

    sentence: str
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """A story's first sentences, and what is still to do before it can be drawn (empty: nothing)."""

    lines: tuple[Line, ...]
    problem: str


def sentences_of(text: str) -> list[str]:
    """One sentence a line; empty lines are left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def text_of_file(data: bytes) -> str:
    """The story in a file that a visitor gives back, one sentence a line; UsageError where it holds none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError("This file is not a story: a story is plain text, one sentence on each line.")
    if len(text) > MAX_TEXT:
        raise UsageError(f"This file has {len(text)} characters; {MAX_TEXT} is the most.")
    return "\n".join(sentences_of(text))


def grammar_of(model: StoryGAN) -> Callable[[str], object] | None:
    """What raises UsageError on a sentence that the model cannot read; None where it reads any."""
    speaks_clevr = model.sentence_encoder is not None and model.sentence_encoder.kind == "clevr"
    return parse_sentence if speaks_clevr else None


def check_story(text: str, T: int, grammar: Callable[[str], object] | None) -> Report:
    """Check the text of a story for a model that draws T sentences."""
    sentences = sentences_of(text)
    lines = tuple(
        Line(sentence[:MAX_CHARACTERS], _problem(sentence, grammar)) for sentence in sentences[: max(T, MAX_SHOWN)]
    )
    wrong = [number for number, line in enumerate(lines, 1) if line.problem]
    missing = T - len(sentences)
    if not sentences:
        problem = f"Write {_count(T)}, one on each line, or start from an example."
    elif wrong:
        numbers = ", ".join(map(str, wrong))
        problem = f"Please mend sentence{'s' if len(wrong) > 1 else ''} {numbers}."
    elif missing > 0:
        problem = f"Write {missing} more sentence{'s' if missing > 1 else ''}: this story needs {T}."
    elif missing < 0:
        problem = f"Take {_count(-missing)} away: this story has {len(sentences)} and needs {T}."
    else:
        problem = ""
    return Report(lines, problem)


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """The number, where it is one in [low, high]; UsageError that says so where it is not."""
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value == int(value):
        return int(value)
    raise UsageError(f"{name} must be a whole number from {low} to {high}")


def _problem(sentence: str, grammar: Callable[[str], object] | None) -> str:
    if len(sentence) > MAX_CHARACTERS:
        return f"this sentence has {len(sentence)} characters; {MAX_CHARACTERS} is the most"
    try:
        if grammar is not None:
            grammar(sentence)
    except UsageError as error:
        return str(error)
    return ""


def _count(n: int) -> str:
    return f"{n} sentence{'s' if n > 1 else ''}"
