"""Checkpoints: all that is needed to go on as if nothing had happened, in one file, written whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from storygan.types import StoryganError

PATTERN = "step-*.pt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write `step-%08d.pt` (temporary name, fsync, rename) and remove all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    temporary = path.with_suffix(".pt.tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync_folder(folder)
    for old in sorted(folder.glob(PATTERN))[:-keep]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint (`weights_only`: no code in it is run).

    Raises:
        StoryganError: where it cannot be read.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on a torn or foreign file
        raise StoryganError(f"the checkpoint {path} cannot be read: {str(error).splitlines()[0]}") from error


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read; one that cannot is named on stderr and passed over. None: there is none.

    Raises:
        StoryganError: where there are checkpoints and none can be read.
    """
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for path in paths:
        try:
            return load_checkpoint(path)
        except StoryganError as error:
            print(f"{error}; trying the one before", file=sys.stderr)
    if paths:
        raise StoryganError(f"none of the {len(paths)} checkpoints in {folder} can be read")
    return None


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
