"""Types that every part shares. No torch, no numpy at run time."""

from __future__ import annotations

MAX_SHOWN = 2000
"""Characters of an error's line."""
NO_MEMORY = ("allocate memory", "out of memory", "not enough memory", "bad_alloc", "failed to allocate")
MAX_SEED = 2**63 - 1
"""What every generator of random numbers takes."""


class StoryganError(Exception):
    """What the user can mend: one line that names the thing and what to do. The command line prints it and exits 1."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, MAX_SHOWN))


class UsageError(StoryganError):
    """The call itself is off (a wrong sentence, a wrong option): the command line exits 2."""

    exit_code = 2


class AlreadyReported(StoryganError):
    """Another of the processes that train together says why all end: this one exits with its code and says nothing."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process says why")
        self.exit_code = exit_code


class Stopped(StoryganError):
    """Work ended by a signal, and saved: the command line exits with `exit_code`, 128 and the signal's number."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def printable(text: str, most: int = 0) -> str:
    """The text with what a file could command a terminal with (control characters, surrogates, ...) written out, and
    at most `most` characters of it (0: all)."""
    if most and len(text) > most:
        text = f"{text[: most - 3]}..."
    if text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if not most or len(shown) <= most else f"{shown[: most - 3]}..."


def reason(error: BaseException) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def require_whole(name: str, value: int, low: int, high: int) -> None:
    """UsageError unless the number is from `low` to `high`."""
    if not low <= value <= high:
        raise UsageError(f"{name} is {value}: it must be at {f'least {low}' if value < low else f'most {high:,}'}")


def require_seed(seed: int) -> None:
    """UsageError unless a generator takes the seed."""
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed {seed}: use 0 to {MAX_SEED}")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says so, in whatever words: PyTorch's allocators and its libraries have no type for it."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)
