"""Types that every part shares. No torch, no numpy at run time."""

from __future__ import annotations


class StoryganError(Exception):
    """What the user can mend: one line that names the thing and what to do. The command line prints it and exits 1."""

    exit_code = 1


class UsageError(StoryganError):
    """The call itself is off (a wrong sentence, a wrong option): the command line exits 2."""

    exit_code = 2


class Stopped(StoryganError):
    """Work ended by a signal, and saved: the command line exits with `exit_code`, 128 and the signal's number."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
