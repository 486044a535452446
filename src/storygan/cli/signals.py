"""SIGTERM and Ctrl-C end any command by an exception, so that what it has begun is undone and its processes end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from signal import Signals

from storygan.signals import first_signal


class Ended(KeyboardInterrupt):
    """A signal came: that it is. Whatever lets Ctrl-C pass lets it pass."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = Signals(number).name
        self.exit_code = 128 + number


def ended_by_signals() -> AbstractContextManager[None]:
    """Within the block a first signal raises `Ended`, a second one ends the process. Training has its own way
    (`training.stop`)."""
    return first_signal(_end)


def _end(number: Signals) -> None:
    raise Ended(number)
