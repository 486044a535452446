"""Atomic writing of files and folders, and bounded reading of files that others have written."""

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
"""Bytes of a text file; ours have some hundred or thousand."""
MAX_HEADER = 10_000_000
"""Bytes of the header of a safetensors file, enough for 100,000 tensors; it takes up to 30 times as much memory."""
MAX_YAML, MAX_DEPTH = 1_000_000, 20
"""Characters of a configuration and depth of its nesting; ours have 2,000 and 5."""


@contextmanager
def atomic_open(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; it is synced and renamed to `path` when the block ends, or else removed.

    Args:
        path: an existing file stays until the rename.
        temporary: temporary name, in the same folder. What a killed process left there is replaced.

    Raises:
        StoryganError: the file cannot be written.
    """
    temporary = temporary or path.with_name(f".{path.name}.tmp")
    try:
        try:
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:  # never through a link
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
    """Replace a file atomically. Raise StoryganError if it cannot be written."""
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def user_cache() -> Path:
    """Return `$XDG_CACHE_HOME/storygan`, or `~/.cache/storygan` without that variable."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storygan"


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_file(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises:
        OSError: it does not exist, or cannot be read.
        ValueError: it is not a regular file (pipes and devices may never end), or larger than `limit`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # would wait for the writer of a pipe
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError(f"{path} is not a regular file")
        if state.st_size > limit:
            raise ValueError(f"{path} has {state.st_size:,} bytes: the limit is {limit:,}")
        return file.read()


def read_safetensors(path: Path, limit: int) -> bytes:
    """Read a safetensors file of at most `limit` bytes, with a header of at most `MAX_HEADER`. Raise as `read_file`."""
    content = read_file(path, limit)
    if (header := int.from_bytes(content[:8], "little")) > MAX_HEADER:
        raise ValueError(f"the header of {path} has {header:,} bytes: the limit is {MAX_HEADER:,}")
    return content


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Read a UTF-8 file of at most `limit` bytes. Raise as `read_file`, and ValueError if it is not UTF-8."""
    return read_file(path, limit).decode("utf-8-sig")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raise ValueError if it is not JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_yaml(text: str, load: Callable[[str], Any] = yaml.safe_load) -> Any:
    """Parse YAML without aliases (`*x`) and deep nesting, which expand a few lines to terabytes.

    Args:
        text: at most `MAX_YAML` characters.
        load: function that parses it after these checks.

    Raises:
        yaml.YAMLError: it is not YAML, too long or nested too deeply, or has an alias.
    """
    if len(text) > MAX_YAML:
        raise yaml.YAMLError(f"it has {len(text):,} characters: the limit is {MAX_YAML:,}")
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise yaml.YAMLError(f"aliases are not supported (*{event.anchor}): write the value out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise yaml.YAMLError("it is nested too deeply")
        return load(text)
    except ValueError as error:  # an integer of thousands of digits
        raise yaml.YAMLError(reason(error)) from error


def cannot_write(path: Path, error: OSError) -> StoryganError:
    """Return the error `PATH cannot be written: No space left on device`."""
    return StoryganError(f"{path} cannot be written: {error.strerror or error}")


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(out: str | Path) -> Iterator[Path]:
    """Create a temporary folder; it is renamed to `out` when the block ends, or else removed with its new parents.

    Raises:
        StoryganError: `out` exists and is not an empty folder, or cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoryganError(f"{out} already exists: name a new folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    created = [parent for parent in partial.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        raise StoryganError(f"{out} was not written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in created:
            with suppress(OSError):  # not empty
                parent.rmdir()
