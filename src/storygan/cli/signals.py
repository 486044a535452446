"""SIGTERM and Ctrl-C end any command by an exception, so that what it has begun is undone and its processes end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ended(KeyboardInterrupt):
    """A signal came: that it is. Whatever lets Ctrl-C pass lets it pass."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block a first signal raises `Ended`; a second one ends the process at once.

    Training has its own way (`training.stop`). Signals that the process was started to ignore stay ignored, and so do
    all in a thread other than the main one: Python handles signals in that alone.
    """
    before: dict[signal.Signals, Any] = {}

    def ended(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, ended)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
