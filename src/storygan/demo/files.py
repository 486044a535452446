"""The files that a visitor can save of one drawing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from storygan.demo.comic import DPI, comic_page
from storygan.viz import save_story

SCALE = 4  # pixels of a saved frame for one of the model's


def write_files(frames: np.ndarray, sentences: Sequence[str], folder: Path) -> list[Path]:
    """Write a drawing's files into the folder, which exists.

    Args:
        frames: uint8 (T, 64, 64, 3).
        sentences: T of them.

    Returns:
        The strip (PNG), the animation (GIF), the comic page (PNG, PDF) and the story, which `storygan generate --file`
        takes.
    """
    strip, animation, page, paper, story = (
        folder / name for name in ("story.png", "story.gif", "comic.png", "comic.pdf", "story.txt")
    )
    save_story(frames[None], strip, SCALE)
    save_story(frames[None], animation, SCALE)
    comic = comic_page(frames, sentences)
    comic.save(page, dpi=(DPI, DPI))
    comic.save(paper, resolution=DPI, quality=92)
    story.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return [strip, animation, page, paper, story]


def keep_newest(folder: Path, most: int) -> None:
    """Delete the oldest files two levels below the folder, but for `most`, and the folders that this empties."""

    def age(path: Path) -> float:
        with suppress(FileNotFoundError):  # another visitor's turn has just deleted it
            return path.stat().st_mtime
        return 0.0

    for path in sorted(folder.glob("*/*"), key=age)[:-most]:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
