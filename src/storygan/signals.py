"""Signals that end a process: a command ends by an exception, training finishes its iteration first."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, Self

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C, a stopped container or job, a closed terminal, a preempted job. Windows has the first two."""


class SignalExit(KeyboardInterrupt):
    """Raised by a signal within `ExitOnSignal`. Code that lets Ctrl-C pass lets it pass.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


class GracefulShutdown:
    """Record the first of `SIGNALS` in a `with` block in `signal`; a second one ends the process at once.

    Ignored signals stay ignored. Python handles signals in the main thread only; in other threads nothing happens.

    Args:
        verbose: answer Ctrl-C on stderr.
    """

    signal: int = 0
    """Number of the signal; 0: none arrived."""

    def __init__(self, verbose: bool = True) -> None:
        self.verbose = verbose
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        for other in self._handlers:
            signal.signal(other, signal.SIG_DFL)
        self.signal = number
        self.respond(number)

    def respond(self, number: int) -> None:
        """Print that a signal arrived."""
        if number == signal.SIGINT and self.verbose:  # not print(): the signal may interrupt one
            with suppress(OSError):
                os.write(2, b"\nfinishing this iteration and saving it; Ctrl-C again ends at once\n")


class ExitOnSignal(GracefulShutdown):
    """Raise SignalExit on the first of `SIGNALS` in a `with` block; a second one ends the process at once."""

    def respond(self, number: int) -> None:
        raise SignalExit(number)
