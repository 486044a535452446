"""Types that every part shares. No torch, no numpy at run time."""

from __future__ import annotations


class StoryganError(Exception):
    """What the user can mend: one line that names the thing and what to do. The command line prints it and exits 1."""


class UsageError(StoryganError):
    """The call itself is off (a wrong sentence, a wrong option): the command line exits 2."""
