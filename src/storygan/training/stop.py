"""SIGTERM and Ctrl-C: the iteration is finished and saved before the process ends."""

from __future__ import annotations

import os
from signal import SIGINT, Signals
from typing import Self

from storygan.signals import first_signal
from storygan.types import Stopped


class Stop:
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


def stopped(number: int, saved: object, run: object) -> Stopped:
    """The error that ends the run: by which signal, what is saved, how to go on."""
    name = Signals(number).name
    return Stopped(f"stopped by {name}, saved {saved}: go on with --resume {run}", 128 + number)
