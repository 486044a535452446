"""One process a run folder."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from storygan.files import cannot_write
from storygan.types import StoryganError

NAME = ".lock"


class RunLock:
    """The lock of a run folder, which it makes. The operating system holds it: it ends with the process, however."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._lock = FileLock(run / NAME)

    def acquire(self) -> Self:
        """Take the lock.

        Raises:
            StoryganError: another process has it, or the folder cannot be written to.
        """
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            (self.run / NAME).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        except Timeout:
            raise StoryganError(f"{self.run} is in use by {self._holder()}: one run, one process") from None
        except OSError as error:
            self._lock.release()
            raise cannot_write(self.run, error) from error
        return self

    def release(self) -> None:
        """Give the lock back; of a run that wrote nothing, no folder stays."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.run.iterdir()] == [NAME]:
                (self.run / NAME).unlink()
                self.run.rmdir()
        self._lock.release()

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return (self.run / NAME).read_text().strip() or "another process"
        return "another process"
