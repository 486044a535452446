"""A table of readers of files from users, and the check that fuzzing applies to each.

A reader returns, or raises StoryganError with one printable line. `check` raises Finding for anything else.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.contents import PLANTED

from storygan.errors import StoryganError

Examples = Iterable[bytes]


@dataclass(frozen=True)
class Reader:
    """A reader of one file."""

    prepare: Callable[[Path], Examples]
    """Write the other files that the reader needs to a folder; return example contents, the first valid."""
    read: Callable[[Path, bytes], object]
    """Write a content to its file in the folder, and read it."""
    refused: dict[str, bytes] = field(default_factory=dict)
    """By description, contents that must be refused. They are examples too."""


class Finding(AssertionError):
    """A reader did something else than to return or to raise a StoryganError of one line."""


def check(reader: Reader, folder: Path, content: bytes) -> bool:
    """Read a content. Returns whether it was accepted. Raises Finding."""
    try:
        reader.read(folder, content)
        return True
    except StoryganError as error:
        line = str(error)
        if not line.isprintable() or not line.strip() or len(line) > 4000:
            raise Finding(f"not one printable line: {line[:300]!r} ({len(line)} characters)") from error
        return False
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:300]}") from error
    finally:
        if PLANTED.exists():
            PLANTED.unlink()
            raise Finding(f"it wrote {PLANTED}")


READERS: dict[str, Reader] = {}


def reader(name: str, prepare: Callable[[Path], Examples], **refused: bytes) -> Callable[[Any], Any]:
    """Register a function (folder, content) as a reader."""

    def register(read: Callable[[Path, bytes], object]) -> Callable[[Path, bytes], object]:
        READERS[name] = Reader(prepare, read, refused)
        return read

    return register


SPECIAL: dict[bytes, Callable[[Path], object]] = {
    b"a pipe": os.mkfifo,
    b"an endless file": lambda path: os.symlink("/dev/zero", path),
    b"a folder": os.mkdir,
}
"""By content, what `write` makes instead; to be refused."""
LINKS: dict[bytes, Callable[[Path], object]] = {
    b"a link to itself": lambda path: os.symlink(path, path),
    b"a link to nothing": lambda path: os.symlink(path / "nothing", path),
}
"""The same; to be refused, or for an optional file to be ignored."""


def in_file(
    name: str, path: str, prepare: Callable[[Path], Examples], read: Callable[[Path], object], **refused: bytes
) -> None:
    """Register a reader of a folder that holds the content in the file `path`, which may be no regular file."""
    examples = lambda folder: itertools.chain(prepare(folder), LINKS)  # noqa: E731
    reader(name, examples, **refused, **{content.decode(): content for content in SPECIAL})(
        lambda folder, content: (write(folder / path, content), read(folder))
    )


def write(path: Path, content: bytes) -> None:
    """Write a file, or make what SPECIAL or LINKS say, in place of what is there; create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    make = (SPECIAL | LINKS).get(content)
    make(path) if make else path.write_bytes(content)


def printable(report: object) -> None:
    """Raise Finding where a report that the command line prints is not printable."""
    if not all(line.isprintable() for line in str(report).split("\n")):
        raise Finding(f"not printable: {str(report)[:300]!r}")
