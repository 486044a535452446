"""SIGTERM and Ctrl-C, answered once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from signal import SIGINT, Signals
from types import FrameType
from typing import Any, Self

from storygan.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def first_signal(answer: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Within the block a first SIGINT or SIGTERM is given to `answer`; a second one ends the process at once.

    Signals that the process was started to ignore stay ignored, and so do all in a thread other than the main one:
    Python handles signals in that alone.
    """
    before: dict[signal.Signals, Any] = {}

    def came(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        answer(signal.Signals(number))

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, came)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class SignalExit(KeyboardInterrupt):
    """A signal came: that it is. Whatever lets Ctrl-C pass lets it pass."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = Signals(number).name
        self.exit_code = 128 + number


def exit_on_signal() -> AbstractContextManager[None]:
    """Within the block a first signal raises `Ended`, a second one ends the process. Training has its own way
    (`training.stop`)."""
    return first_signal(_end)


def _end(number: Signals) -> None:
    raise SignalExit(number)


class GracefulShutdown:
    """Within `with Stop() as stop`, a first signal only sets `stop.signal`; a second one ends the process at once.

    Args:
        spoken: whether Ctrl-C is answered on stderr.
    """

    signal: int = 0
    """Its number; 0: none came."""

    def __init__(self, spoken: bool = True) -> None:
        self._spoken, self._asked = spoken, first_signal(self._ask)

    def __enter__(self) -> Self:
        self._asked.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.__exit__(None, None, None)

    def _ask(self, number: Signals) -> None:
        self.signal = number
        if number == SIGINT and self._spoken:  # not print(): the signal may have come within one
            os.write(2, b"\nfinishing this iteration and saving it; Ctrl-C again ends at once\n")


def shutdown_error(number: int, saved: object, run: object) -> Interrupted:
    """The error that ends the run: by which signal, what is saved, how to go on."""
    name = Signals(number).name
    return Interrupted(f"stopped by {name}, saved {saved}: go on with --resume {run}", 128 + number)
