"""Frames into pictures: strips, sheets with words, GIFs, folders. Frames are uint8 (N, T, H, W, 3)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from storygan.errors import StoryganError, UsageError, require_whole
from storygan.files import atomic_write

MAX_SCALE = 64
MAX_PIXELS = 2**27
"""Of a picture, which takes ten bytes of memory for each while it is drawn and written."""
GAP = 2
"""White pixels between frames."""
FONT, LINE, LINES = 12, 15, 4
"""Of the words on a sheet: pixels of a letter, pixels of a line, and the most lines of a caption."""


def strips(frames: np.ndarray, scale: int = 1) -> np.ndarray:
    """N stories under one another, T frames side by side: (N, T, H, W, 3) -> (h, w, 3), each pixel `scale` large.

    UsageError where that is more than MAX_PIXELS.
    """
    N, T, H, W, _ = frames.shape
    _require_room(scale * (T * (W + GAP) - GAP), scale * (N * (H + GAP) - GAP))
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
    """Rows of frames of one size under one another, with their words: (h, w, 3). Rows may differ in length.

    UsageError where that is more than MAX_PIXELS.
    """
    H, W = (scale * size for size in rows[0].frames.shape[1:3])
    font, cell = ImageFont.load_default(FONT), W + FONT
    margin = max(cell, 128)
    told = [[lines(caption, W) for caption in row.captions] for row in rows]
    heights = [H + LINE * max(map(len, captions), default=0) + FONT for captions in told]
    size = margin + cell * max(len(row.frames) for row in rows), FONT + sum(heights)
    _require_room(*size)
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


def _require_room(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        size = f"{width:,} x {height:,}"
        raise UsageError(f"a picture of {size} pixels: lower --scale, draw fewer, or give --out a folder")


def encode(pictures: Sequence[np.ndarray], ending: str, **options: Any) -> bytes:
    """uint8 (H, W, 3) -> an image file, its format by its ending; of several, the first's animation.

    OSError, ValueError where a picture is larger than the format allows.
    """
    first, *others = map(Image.fromarray, pictures)
    file = io.BytesIO()
    if others:
        options |= {"save_all": True, "append_images": others}
    first.save(file, Image.registered_extensions()[ending.lower()], **options)
    return file.getvalue()


KINDS = ("", ".gif", ".png", ".jpg", ".jpeg", ".webp")
MILLISECONDS = 800
"""That an animation shows each frame."""


def check_out(out: Path, scale: int = 1) -> None:
    """Raise UsageError where `save_story` would not know what to write, before anything is drawn."""
    require_whole("--scale", scale, 1, MAX_SCALE)
    if out.suffix.lower() not in KINDS:
        raise UsageError(f"{out}: give a name that ends in .png, .jpg, .webp or .gif, or a folder without an ending")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")


def save_story(frames: np.ndarray, out: Path, scale: int = 2) -> None:
    """Write frames as `out` asks: `.gif` an animation, the stories under one another, `.png`/`.jpg`/`.webp` strips, no
    ending a folder with a PNG for each frame (`story-1-frame-1.png`, ...). A file that was there stays until the new
    one is whole.

    Raises:
        UsageError: on another ending, or a picture of more than MAX_PIXELS.
        StoryganError: where `out` cannot be written.
    """
    _save(lambda: frames, lambda: strips(frames, scale), out, scale)


def save_sheet(rows: Sequence[Row], out: Path, scale: int = 2) -> None:
    """Write rows of frames as `out` asks, as `save_story` does; words are on a picture alone, and rows of different
    lengths on that alone as well: UsageError elsewhere."""
    if len({len(row.frames) for row in rows}) > 1 and out.suffix.lower() in ("", ".gif"):
        raise UsageError(f"{out}: rows of different lengths make a picture alone: give a name that ends in .png")
    _save(lambda: np.stack([row.frames for row in rows]), lambda: sheet(rows, scale), out, scale)


def _save(stories: Callable[[], np.ndarray], picture: Callable[[], np.ndarray], out: Path, scale: int) -> None:
    check_out(out, scale)
    try:
        if out.suffix == "":
            out.mkdir(parents=True, exist_ok=True)
            for n, story in enumerate(stories(), 1):
                for t, frame in enumerate(story, 1):
                    atomic_write(out / f"story-{n}-frame-{t}.png", encode([frame], ".png"))
        elif out.suffix.lower() == ".gif":
            moments = [strips(frames[:, None], scale) for frames in stories().swapaxes(0, 1)]
            atomic_write(out, encode(moments, ".gif", duration=MILLISECONDS, loop=0))
        else:
            atomic_write(out, encode([picture()], out.suffix))
    except (OSError, ValueError) as error:  # the second: more pixels than the format has numbers for
        raise StoryganError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}") from error
