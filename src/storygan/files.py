"""Atomic writing of files and folders, and bounded reading of files that others have written."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml

from storygan.errors import StoryganError, reason

if TYPE_CHECKING:
    from filelock import FileLock

NONBLOCK = getattr(os, "O_NONBLOCK", 0)
"""Flag of `os.open` that does not wait for a pipe's writer. Windows has no such flag, and no such pipes."""
LOCK = ".lock"
"""Lock file in a folder."""
MAX_TEXT = 16 * 2**20
"""Bytes of a text file; ours have some hundred or thousand."""
MAX_HEADER = 10_000_000
"""Bytes of the header of a safetensors file, enough for 100,000 tensors; it takes up to 30 times as much memory."""
MAX_YAML, MAX_DEPTH = 100_000, 20
"""Characters of a configuration, which take 2 s, and depth of its nesting; ours have 2,000 and 5."""


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing; it is synced and renamed to `path` when the block ends, or else removed.

    Its name, `.NAME.RANDOM.tmp`, is unique: of several processes that write `path`, the last one wins.
    `remove_temporaries` removes what killed processes left.

    Args:
        path: an existing file stays until the rename.

    Raises:
        StoryganError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:  # never through a link
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_temporaries(folder: Path, name: str = "*") -> None:
    """Remove the temporary files of `atomic_open` in a folder. The caller holds the folder's lock."""
    for left in folder.glob(f".{name}.????????.tmp"):
        with suppress(OSError):
            left.unlink()


def atomic_write(path: Path, content: str | bytes) -> None:
    """Replace a file atomically. Raise StoryganError if it cannot be written."""
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def user_cache() -> Path:
    """Return `$XDG_CACHE_HOME/storygan`, or `~/.cache/storygan`. Raise StoryganError if the user has no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storygan"
    except RuntimeError as error:
        raise StoryganError("the user has no home folder: set XDG_CACHE_HOME to a folder") from error


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: it does not exist, or cannot be read.
        ValueError: it is not a regular file: pipes and devices may never end.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is not a regular file")
    return file


def read_file(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes. Raise as `open_regular`, and ValueError if it is larger."""
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > limit:
            raise ValueError(f"{path} has {size:,} bytes: the limit is {limit:,}")
        return file.read(size)  # it may grow meanwhile


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
    except (yaml.YAMLError, MemoryError):
        raise
    except Exception as error:  # PyYAML raises many kinds for values that do not fit their tag, as in !!int ""
        raise yaml.YAMLError(f"a value does not fit its tag: {reason(error)}") from error


def cannot_write(path: Path, error: OSError) -> StoryganError:
    """Return the error `PATH cannot be written: No space left on device`."""
    return StoryganError(f"{path} cannot be written: {error.strerror or error}")


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename survives a power cut. Windows cannot open folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, name: str = LOCK, wait: bool = False) -> Iterator[None]:
    """Create a folder and hold its lock. A folder in which nothing was written is removed again.

    Args:
        folder: nothing in it may be a link: whoever made the folder would choose where we write.
        name: of the lock file, within the folder.
        wait: wait for another process that holds the lock.

    Raises:
        StoryganError: another process holds the lock, the folder holds a link, or it cannot be written to.
    """
    path = folder / name
    created = [parent for parent in path.parents if not parent.exists()]
    try:
        require_no_links(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    lock = _acquire(path, folder, wait)
    try:
        yield
    finally:
        with suppress(OSError):
            if not wait and [found.name for found in path.parent.iterdir()] == [path.name]:
                path.unlink()
                path.parent.rmdir()
                for empty in created[1:]:
                    empty.rmdir()
        lock.release()


def _acquire(path: Path, folder: Path, wait: bool = False) -> FileLock:
    """Create a lock file and lock it; `folder` is what it protects. Raise StoryganError as `locked` does."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise StoryganError(f"{folder} is in use by another process: wait for it, or stop it") from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    return lock


def require_no_links(folder: Path) -> None:
    """Raise StoryganError where a folder, or a folder in it, holds a symbolic link, through which we would write."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent) / name for name in (*folders, *files)):
            if path.is_symlink():
                raise StoryganError(f"{path} is a link: replace it by what it points to")


@contextmanager
def atomic_folder(out: str | Path) -> Iterator[Path]:
    """Create a temporary folder; it is renamed to `out` when the block ends, or else removed with its new parents.

    The folder is `.OUT.partial`. The lock is a file beside it, `.OUT.lock`: Windows renames no folder with open files.
    What a killed process left there is removed.

    Raises:
        StoryganError: `out` exists and is not an empty folder, cannot be written, or another process writes it.
    """
    out = Path(out)
    partial, lock_file = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.lock")
    for path in (partial, lock_file):
        if path.is_symlink():
            raise StoryganError(f"{path} is a link: remove it")
    created = [parent for parent in out.parents if not parent.exists()]
    lock = _acquire(lock_file, out)
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoryganError(f"{out} already exists: name a new folder")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        with suppress(FileNotFoundError):
            out.rmdir()  # Windows replaces no folder, not even an empty one
        partial.replace(out)
    except OSError as error:
        raise StoryganError(f"{out} was not written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # on Windows, which removes no open file, the release removes it
            lock_file.unlink()
        lock.release()
        with suppress(OSError):
            for empty in created:
                empty.rmdir()
