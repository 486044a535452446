"""Exceptions, and checks of arguments."""

from __future__ import annotations

import errno
import os

MAX_SHOWN = 2000
"""Characters of an error message."""
NO_MEMORY = ("allocate memory", "out of memory", "not enough memory", "bad_alloc", "failed to allocate")
MAX_THREADS = 1024
MAX_SEED = 2**63 - 1
"""The largest seed that every random number generator accepts."""


class StoryganError(Exception):
    """An error that the user can fix. Its one line names the thing and what to do; the exit code is 1."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, MAX_SHOWN))


class UsageError(StoryganError):
    """A wrong argument, such as a sentence or an option; the exit code is 2."""

    exit_code = 2


class UnknownWordWarning(UserWarning):
    """A story has words that the model was not trained on: its frames may show something else."""


class AlreadyReported(StoryganError):
    """Raised in distributed training when another process has failed and printed why; has the exit code of that one."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process failed")
        self.exit_code = exit_code


class Interrupted(StoryganError):
    """A signal ended the work, which is saved. `exit_code` is 128 plus the signal's number."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def printable(text: str, limit: int = 0) -> str:
    """Escape control characters and surrogates, which could control a terminal, and truncate to `limit` characters.

    Args:
        text: any.
        limit: 0: no limit.
    """
    if limit and len(text) > limit:
        text = f"{text[: limit - 3]}..."
    if text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if not limit or len(shown) <= limit else f"{shown[: limit - 3]}..."


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def require_whole(name: str, value: int, low: int, high: int) -> None:
    """Raise UsageError unless `low <= value <= high`."""
    if not low <= value <= high:
        bound = f"least {low}" if value < low else f"most {high:,}"
        raise UsageError(f"{name} is {value}: it must be at {bound}")


def require_seed(seed: int) -> None:
    """Raise UsageError unless 0 <= seed <= `MAX_SEED`."""
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed {seed}: use 0 to {MAX_SEED}")


def require_threads(threads: int, option: str = "threads") -> None:
    """Raise UsageError unless a number of threads or processes is 0, one for each core, to `MAX_THREADS`."""
    if not 0 <= threads <= MAX_THREADS:
        raise UsageError(f"{option} is {threads}: give 1 to {MAX_THREADS:,}, or 0 for one for each core")


def machine_failed(error: BaseException) -> bool:
    """Return whether the machine failed to read a file (permission, memory, descriptors, threads): it may be intact."""
    number = error.errno if isinstance(error, OSError) else None
    texts = map(os.strerror, (errno.EACCES, errno.EAGAIN, errno.EMFILE))  # libraries drop the number
    return number not in (None, errno.EINVAL) or out_of_memory(error) or any(text in str(error) for text in texts)


def advice(error: BaseException, action: str) -> str:
    """Return `: ACTION`, what to do about a damaged file, or "" if the machine failed."""
    return "" if machine_failed(error) else f": {action}"


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; PyTorch and its libraries have only messages for it."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)
