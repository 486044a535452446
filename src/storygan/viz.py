"""Frames into pictures: strips, sheets with words, GIFs, folders. Frames are uint8 (N, T, H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from storygan.types import StoryganError, UsageError

GAP = 2
"""White pixels between frames."""
FONT, LINE, LINES = 12, 15, 4
"""Of the words on a sheet: pixels of a letter, pixels of a line, and the most lines of a caption."""


def strips(frames: np.ndarray, scale: int = 1) -> np.ndarray:
    """N stories under one another, T frames side by side: (N, T, H, W, 3) -> (h, w, 3), each pixel `scale` large."""
    N, T, H, W, _ = frames.shape
    page = np.full((N * (H + GAP) - GAP, T * (W + GAP) - GAP, 3), 255, dtype=np.uint8)
    for n in range(N):
        for t in range(T):
            page[n * (H + GAP) :, t * (W + GAP) :][:H, :W] = frames[n, t]
    return page.repeat(scale, axis=0).repeat(scale, axis=1)


@dataclass(frozen=True)
class Row:
    """A strip with words around it."""

    label: str
    """To the left of the frames."""
    frames: np.ndarray
    """uint8 (T, H, W, 3)."""
    captions: Sequence[str] = ()
    """One under each frame, or none at all."""


def sheet(rows: Sequence[Row], scale: int = 2) -> np.ndarray:
    """Rows of frames of one size under one another, with their words: (h, w, 3). Rows may differ in length."""
    H, W = (scale * size for size in rows[0].frames.shape[1:3])
    font, cell = ImageFont.load_default(FONT), W + FONT
    margin = max(cell, 128)
    told = [[lines(caption, W) for caption in row.captions] for row in rows]
    heights = [H + LINE * max(map(len, captions), default=0) + FONT for captions in told]
    size = margin + cell * max(len(row.frames) for row in rows), FONT + sum(heights)
    page = Image.new("RGB", size, "white")
    draw, top = ImageDraw.Draw(page), FONT
    for row, captions, height in zip(rows, told, heights, strict=True):
        words = [(FONT // 2, top, lines(row.label, margin - FONT))]
        words += [(margin + t * cell, top + H, caption) for t, caption in enumerate(captions)]
        for x, y, text in words:
            for n, line in enumerate(text):
                draw.text((x, y + n * LINE), line, fill="black", font=font)
        for t, frame in enumerate(row.frames):
            page.paste(Image.fromarray(frame).resize((W, H), Image.Resampling.NEAREST), (margin + t * cell, top))
        top += height
    return np.asarray(page)


def lines(text: str, width: int) -> list[str]:
    """Words in lines of about `width` pixels, LINES of them at most."""
    return wrap(text, max(1, int(width / (0.55 * FONT))), max_lines=LINES, placeholder=" ...")


def save_image(image: np.ndarray, path: Path) -> None:
    """uint8 (H, W, 3) -> an image file, format by its ending."""
    Image.fromarray(image).save(path)


def save_gif(frames: np.ndarray, path: Path, scale: int = 1, milliseconds: int = 800) -> None:
    """The stories under one another, one picture of the animation for each t."""
    pictures = [Image.fromarray(strips(frames[:, t : t + 1], scale)) for t in range(frames.shape[1])]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)


def save_frames(frames: np.ndarray, folder: Path) -> None:
    """One PNG a frame: `story-1-frame-1.png`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, story in enumerate(frames, 1):
        for t, frame in enumerate(story, 1):
            save_image(frame, folder / f"story-{n}-frame-{t}.png")


KINDS = ("", ".gif", ".png", ".jpg", ".jpeg", ".webp")


def check_out(out: Path) -> None:
    """Raise UsageError where `save_story` would not know what to write, before anything is drawn."""
    if out.suffix.lower() not in KINDS:
        raise UsageError(f"{out}: give a name that ends in .png, .jpg, .webp or .gif, or a folder without an ending")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")


def save_story(frames: np.ndarray, out: Path, scale: int = 2) -> None:
    """Write frames as `out` asks: `.gif` an animation, `.png`/`.jpg`/`.webp` strips, no ending a folder of frames.

    Raises:
        UsageError: on another ending.
        StoryganError: where `out` cannot be written.
    """
    _save(frames, strips(frames, scale), out, scale)


def save_sheet(rows: Sequence[Row], out: Path, scale: int = 2) -> None:
    """Write rows of frames as `out` asks, as `save_story` does; words are on a picture alone."""
    _save(np.stack([row.frames for row in rows]), sheet(rows, scale), out, scale)


def _save(frames: np.ndarray, picture: np.ndarray, out: Path, scale: int) -> None:
    check_out(out)
    try:
        if out.suffix == "":
            save_frames(frames, out)
        elif out.suffix.lower() == ".gif":
            save_gif(frames, out, scale)
        else:
            save_image(picture, out)
    except (OSError, ValueError) as error:  # the second: more pixels than the format has numbers for
        raise StoryganError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}") from error
