"""A folder that appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storygan.types import StoryganError


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
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
