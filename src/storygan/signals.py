"""SIGTERM and Ctrl-C, answered once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

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
