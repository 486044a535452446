"""SIGTERM and Ctrl-C: the iteration is finished and saved before the process ends."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

from storygan.types import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Within `with Stop() as stop`, a first signal only sets `stop.signal`; a second one ends the process at once.

    Args:
        spoken: whether Ctrl-C is answered on stderr.

    Signals that the process was started to ignore stay ignored, and so do all in a thread other than the main one:
    Python handles signals in that alone.
    """

    signal: int = 0
    """Its number; 0: none came."""

    def __init__(self, spoken: bool = True) -> None:
        self._spoken = spoken

    def __enter__(self) -> Self:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        for other in self._before:
            signal.signal(other, signal.SIG_DFL)
        if number == signal.SIGINT and self._spoken:  # not print(): the signal may have come within one
            os.write(2, b"\nfinishing this iteration and saving it; Ctrl-C again ends at once\n")


def stopped(number: int, saved: object, run: object) -> Stopped:
    """The error that ends the run: by which signal, what is saved, how to go on."""
    name = signal.Signals(number).name
    return Stopped(f"stopped by {name}, saved {saved}: go on with --resume {run}", 128 + number)
