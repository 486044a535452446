"""Real `storygan` processes, forked from a server that has imported the package, for speed."""

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
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from torch import Tensor

SERVER = multiprocessing.get_context("forkserver")
PRELOAD = ["storygan.cli", "storygan.training.loop", "storygan.data.toon.render"]
PRELOAD += ["storygan.text.clevr_encoder", "tensorboard.plugins.hparams.api_pb2"]  # what training imports when it runs
PATIENCE = 300
"""Seconds to wait for a process; before the end it dumps its traceback."""


def heed_ctrl_c() -> None:
    """Enable SIGINT and SIGHUP: a shell and nohup start processes with them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Command:
    """Run `storygan ARGUMENTS` in a process.

    Args:
        arguments: of the command line.
        log: file of its stdout and stderr.
        memory: limit of address space in addition to that at the start, in bytes; None: no limit.
        years_back: years that its clock is behind.
        pause_at: iteration, counted over all stages, at whose end the training waits for `resume`.
    """

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        memory: int | None = None,
        years_back: float = 0,
        pause_at: int = 0,
    ) -> None:
        self.log = log
        self._paused, self._resumed = SERVER.Event(), SERVER.Event()
        pause = (pause_at, self._paused, self._resumed)
        self.process: BaseProcess = SERVER.Process(target=_main, args=(arguments, log, memory, years_back, pause))
        self.start()

    def start(self) -> None:
        """Start it; the first one starts the server."""
        SERVER.set_forkserver_preload(PRELOAD)  # scripts/mutants.py, whose tests may have run, has another list
        self.process.start()

    def wait_until_paused(self) -> None:
        """Wait until the training has paused."""
        assert self._paused.wait(PATIENCE), self.output()

    def resume(self) -> None:
        """Continue the paused training."""
        self._resumed.set()

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Return the exit code, negative for a signal's number; None: still running."""
        self.process.join(seconds)
        return self.process.exitcode

    def end(self) -> int:
        """Return the exit code; fail where the process does not end."""
        code = self.wait()
        if code is None:
            self.send(signal.SIGKILL)
            raise AssertionError(f"still running after {PATIENCE} s: {self.log.read_text()}")
        return code

    def output(self) -> list[str]:
        """Return the lines of its output, without progress bars."""
        return _lines(self.log)


class Group:
    """Run a Python program in its own process group, as a shell does.

    Args:
        arguments: of the interpreter.
        log: file of its stdout and stderr.
        environment: additional variables.
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
        """Return the ids of its living processes."""
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
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < end, self.output()
            time.sleep(0.01)

    def end(self, seconds: float = 120) -> int:
        """Return the exit code when all processes of the group have ended; fail after `seconds`."""
        end = time.monotonic() + seconds
        while self.process.poll() is None or self.members():
            if time.monotonic() > end:
                left = self.members()
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError(f"processes {left} go on: {self.output()}")
            time.sleep(0.05)
        return self.process.wait()

    def output(self) -> list[str]:
        """Return the lines of its output, without progress bars."""
        return _lines(self.log)


def _lines(log: Path) -> list[str]:
    text = log.read_text().replace("\r", "\n") if log.exists() else ""
    return [line for line in text.splitlines() if line.strip() and "it/s" not in line and "|" not in line]


def run(arguments: list[str], log: Path, **limits: float) -> tuple[int, list[str]]:
    """Return exit code and output lines of a command that ends by itself."""
    command = Command(arguments, log, **limits)  # type: ignore[arg-type]
    return command.end(), command.output()


def until(condition: Callable[[], object], command: Command) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert command.process.is_alive(), command.output()
        assert time.monotonic() < end, command.output()
        time.sleep(0.01)


def _pause_at(iteration: int, here: Event, on: Event) -> None:
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
    arguments: list[str], log: Path, memory: int | None, years_back: float, pause: tuple[int, Event, Event]
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
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
    if pause[0]:
        _pause_at(*pause)
    from storygan.cli import main

    sys.exit(main(arguments))
