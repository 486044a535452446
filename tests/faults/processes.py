"""Real `storygan` processes. They start fast: each is forked from a server that has imported the package once."""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from torch import Tensor

SERVER = multiprocessing.get_context("forkserver")
FRESH = multiprocessing.get_context("spawn")
SERVER.set_forkserver_preload(["storygan.cli", "storygan.training.loop", "storygan.data.toon.render"])
PATIENCE = 300
"""Seconds for what takes one or two on an idle machine. A process that lives longer says on stderr where it is."""


def heed_ctrl_c() -> None:
    """A shell starts what is in the background, these tests it may be, to ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Command:
    """`storygan ARGUMENTS` in a process of its own.

    Args:
        arguments: of the command line.
        log: file of what it says on stdout and stderr.
        room: bytes of address space beyond what it has at its start; None: no limit.
        years_back: how far its clock is behind.
        waits_at: a training waits at the end of its so many-th iteration, of all stages, until `go_on`.
        start: FRESH is a Python that imports all for itself, as a user's does, and takes seconds for it.
    """

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        room: int | None = None,
        years_back: float = 0,
        waits_at: int = 0,
        start: ForkServerContext | SpawnContext = SERVER,
    ) -> None:
        self.log = log
        self._here, self._on = start.Event(), start.Event()
        meeting = (waits_at, self._here, self._on)
        self.process: BaseProcess = start.Process(target=_main, args=(arguments, log, room, years_back, meeting))
        self.process.start()

    def meet(self) -> None:
        """Wait until the training waits."""
        assert self._here.wait(PATIENCE), self.said()

    def go_on(self) -> None:
        """End the wait."""
        self._on.set()

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """The exit code, negative for a signal's number; None: still running."""
        self.process.join(seconds)
        return self.process.exitcode

    def end(self) -> int:
        """The exit code; a process that does not end fails the test."""
        code = self.wait()
        if code is None:
            self.send(signal.SIGKILL)
            raise AssertionError(f"still running after {PATIENCE} s: {self.log.read_text()}")
        return code

    def said(self) -> list[str]:
        """Lines, without the progress bars."""
        return _lines(self.log)


class Group:
    """A Python program in a process group of its own, as a shell starts one, with all that it starts itself.

    Args:
        arguments: of the interpreter.
        log: file of what it says on stdout and stderr.
        environment: variables in addition to ours.
    """

    def __init__(self, arguments: list[str], log: Path, **environment: str) -> None:
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=heed_ctrl_c,
            )
        self.log = log

    def members(self) -> list[int]:
        """Its living processes."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                state, _, group = path.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state != "Z":
                    found.append(int(path.parent.name))
        return found

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def end(self, seconds: float = 20) -> int:
        """The exit code, once no process is left of the group; some are left after so many seconds: the test fails."""
        end = time.monotonic() + seconds
        while self.process.poll() is None or self.members():
            if time.monotonic() > end:
                left = self.members()
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError(f"processes {left} go on: {self.said()}")
            time.sleep(0.05)
        return self.process.wait()

    def said(self) -> list[str]:
        """Lines, without the progress bars."""
        return _lines(self.log)


def _lines(log: Path) -> list[str]:
    text = log.read_text().replace("\r", "\n") if log.exists() else ""
    return [line for line in text.splitlines() if line.strip() and "it/s" not in line and "|" not in line]


def run(arguments: list[str], log: Path, **limits: float) -> tuple[int, list[str]]:
    """Exit code and lines of a command that ends by itself."""
    command = Command(arguments, log, **limits)  # type: ignore[arg-type]
    return command.end(), command.said()


def until(condition: Callable[[], object], command: Command) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert command.process.is_alive(), command.said()
        assert time.monotonic() < end, command.said()
        time.sleep(0.01)


def _wait_at(iteration: int, here: Event, on: Event) -> None:
    from storygan.training import loop

    iterate, done = loop.iteration, itertools.count(1)

    def waiting(trainer: loop.StageTrainer) -> dict[str, Tensor]:
        metrics = iterate(trainer)
        if next(done) == iteration:
            here.set()
            on.wait(PATIENCE)
        return metrics

    loop.iteration = waiting


def _main(
    arguments: list[str], log: Path, room: int | None, years_back: float, meeting: tuple[int, Event, Event]
) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.enable()
    faulthandler.dump_traceback_later(0.9 * PATIENCE)
    heed_ctrl_c()
    if years_back:
        now = time.time
        time.time = lambda: now() - years_back * 365 * 86400
    if room is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room,) * 2)
    if meeting[0]:
        _wait_at(*meeting)
    from storygan.cli import main

    sys.exit(main(arguments))
