"""The small rendered CLEVR-SV data set that ships with the package, for a first training run without Blender."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from storygan.files import atomic_folder


def write_sample(out: str | Path) -> list[Path]:
    """Copy the sample to the new folder OUT and return its files. Raises StoryganError where OUT exists.

    It has 48 training and 16 test stories of 4 frames of 64x64 pixels, under 1 MB.
    """
    with atomic_folder(out) as folder:
        for file in files("storygan.data").joinpath("sample").iterdir():
            if file.is_file():  # not a memory map's folder beside them
                (folder / file.name).write_bytes(file.read_bytes())
    return sorted(Path(out).iterdir())
