"""Files that appear whole or not at all, whatever happens meanwhile: a kill, a full disk, a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storygan.types import StoryganError


@contextmanager
def whole_file(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """A file to fill. It gets the name `path` when the block ends well, synced to the disk; else nothing of it stays.

    Args:
        path: the old file, if there is one, stays until then.
        temporary: its name meanwhile, in the same folder; a process that is killed leaves it, the next one takes it.

    Raises:
        StoryganError: where the disk is full or the folder cannot be written to.
    """
    temporary = temporary or path.with_name(f".{path.name}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file: the old one or the new one is there at any moment. StoryganError where it cannot be written."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def cannot_write(path: Path, error: OSError) -> StoryganError:
    """One line for what the operating system says: `PATH cannot be written: No space left on device`."""
    return StoryganError(f"{path} cannot be written: {error.strerror or error}")


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
