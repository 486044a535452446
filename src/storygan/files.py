"""Files that appear whole or not at all, whatever happens meanwhile: a kill, a full disk, a power cut."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from storygan.errors import StoryganError, reason

MAX_TEXT = 16 * 2**20
"""Bytes of a settings file, which has some hundred; of a story, some thousand."""
MAX_YAML, DEEPEST = 1_000_000, 20
"""Characters of a configuration, and how deep its parts may be nested: ours have 2,000 and 2."""


@contextmanager
def atomic_open(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
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
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:  # a new one: where a link of that name points to, nothing is written
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


def atomic_write(path: Path, content: str | bytes) -> None:
    """Replace a file: the old one or the new one is there at any moment. StoryganError where it cannot be written."""
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def user_cache() -> Path:
    """$XDG_CACHE_HOME/storygan; ~/.cache/storygan without that variable."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storygan"


def is_file(path: Path) -> bool:
    """Whether there is an ordinary file of that name; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is no ordinary file (a pipe, a device, which may have no end) or has more than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would be waited for
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError(f"{path} is not an ordinary file")
        if state.st_size > most:
            raise ValueError(f"{path} has {state.st_size:,} bytes: at most {most:,} are read")
        return file.read()


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """The text of a UTF-8 file. OSError and ValueError as `read_file`; ValueError also where it is not UTF-8."""
    return read_file(path, most).decode("utf-8-sig")


def parse_json(text: str | bytes) -> Any:
    """What JSON holds. ValueError where it is not JSON, or too deeply nested."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_yaml(text: str, load: Callable[[str], Any] = yaml.safe_load) -> Any:
    """What YAML text holds.

    Raises:
        yaml.YAMLError: it is no YAML, or holds what a configuration does not need and a few lines of which can stand
            for terabytes: names for parts (`&x`, `*x`) and deep nesting.
    """
    if len(text) > MAX_YAML:
        raise yaml.YAMLError(f"it has {len(text):,} characters: at most {MAX_YAML:,} are read")
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise yaml.YAMLError(f"it repeats a part by name (*{event.anchor}): write it out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise yaml.YAMLError("it is nested too deeply")
        return load(text)
    except ValueError as error:  # of a number with thousands of digits
        raise yaml.YAMLError(reason(error)) from error


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


@contextmanager
def atomic_folder(out: str | Path) -> Iterator[Path]:
    """A folder to fill, which gets the name `out` when the block ends well and is removed when it does not,
    with the parents that it needed.

    StoryganError where `out` exists and is not an empty folder.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoryganError(f"{out} already exists: name a new folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    made = [parent for parent in partial.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        raise StoryganError(f"{out} was not written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # it has something in it
                parent.rmdir()
