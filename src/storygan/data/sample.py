"""The small rendered dataset that ships with the package, so that a first training run needs no Blender."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from storygan.files import atomic_folder


def write_sample(out: str | Path) -> list[Path]:
    """Copy the sample to the new folder OUT and return its files; StoryganError where OUT exists.

    48 stories to train on and 16 to test on, CLEVR-SV, 4 frames of 64x64; under 1 MB.
    """
    with atomic_folder(out) as folder:
        for file in files("storygan.data").joinpath("sample").iterdir():
            if file.is_file():  # a cache may be beside them
                (folder / file.name).write_bytes(file.read_bytes())
    return sorted(Path(out).iterdir())
