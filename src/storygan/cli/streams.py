"""Standard output and error that may fail: a full disk, a closed terminal, letters that an encoding lacks."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any


class TolerantStream:
    """A text stream that ignores errors of writing: no progress bar or message ends a run."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if possible."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """Ignore errors of writing to stderr in the block, and escape characters that stdout cannot encode.

    At the end, a stream that cannot be flushed is discarded: otherwise Python would exit with 120.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with redirect_stderr(TolerantStream(sys.stderr or io.StringIO())):
            yield
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):
                with suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Print what the package logs, in the block."""
    logger, handler = logging.getLogger("storygan"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Do not print an OSError of another thread, in the block. TensorBoard's thread raises it in the main one again."""
    hook = threading.excepthook
    threading.excepthook = lambda args: None if issubclass(args.exc_type, OSError) else hook(args)
    try:
        yield
    finally:
        threading.excepthook = hook
