"""A comic page of one drawing: an A4 sheet, each frame with its sentence underneath."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from storygan.viz import save_story

PAGE = (1240, 1754)  # A4 at 150 dots an inch
DPI = 150
MARGIN, GUTTER = 60, 36
INK, PAPER, BOX = (24, 24, 32), (255, 255, 255), (255, 246, 200)
LARGEST, SMALLEST = 34, 14  # of the letters, pixels


def comic_page(frames: np.ndarray, sentences: Sequence[str]) -> Image.Image:
    """T frames (T, H, W, 3), uint8, and their T sentences -> an RGB page of PAGE pixels."""
    T = len(frames)
    columns = 1 if T == 1 else 2 if T <= 6 else 3
    rows = -(-T // columns)
    width = (PAGE[0] - 2 * MARGIN - (columns - 1) * GUTTER) // columns
    height = (PAGE[1] - 2 * MARGIN - (rows - 1) * GUTTER) // rows
    caption = min(150, height // 4)
    side = min(width, height - caption)
    page = Image.new("RGB", PAGE, PAPER)
    pen = ImageDraw.Draw(page)
    top = (PAGE[1] - rows * (side + caption) - (rows - 1) * GUTTER) // 2
    for t, (frame, sentence) in enumerate(zip(frames, sentences, strict=True)):
        row, column = divmod(t, columns)
        in_row = min(columns, T - row * columns)
        left = (PAGE[0] - in_row * side - (in_row - 1) * GUTTER) // 2  # a last row that is not full stands centred
        x, y = left + column * (side + GUTTER), top + row * (side + caption + GUTTER)
        page.paste(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC), (x, y))
        pen.rectangle((x, y + side, x + side, y + side + caption), fill=BOX)
        pen.rectangle((x, y, x + side, y + side + caption), outline=INK, width=5)
        pen.line((x, y + side, x + side, y + side), fill=INK, width=5)
        _write(pen, sentence, (x + side / 2, y + side + caption / 2), side - 40, caption - 24)
    return page


def _write(pen: ImageDraw.ImageDraw, text: str, centre: tuple[float, float], width: int, height: int) -> None:
    """Write the text around the centre, in the largest letters that fit; cut it where the smallest do not."""
    for size in range(LARGEST, SMALLEST - 1, -2):
        font = letters(size)
        lines = _wrap(text, font, width)
        validate_state = int(height // (1.3 * size))
        if len(lines) <= validate_state:
            break
    else:
        lines = [*lines[: validate_state - 1], lines[validate_state - 1][:-1] + "…"]
    pen.multiline_text(centre, "\n".join(lines), INK, font, anchor="mm", align="center", spacing=0.3 * size)


@cache
def letters(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in lines of at most `width` pixels; a word that is longer is broken."""
    lines, line = [], ""
    for word in text.split():
        while font.getlength(word) > width:
            lengths = range(2, len(word))
            cut = 1 + bisect_left(lengths, True, key=lambda n: font.getlength(word[:n]) > width)
            lines += [line] * bool(line) + [word[:cut]]
            line, word = "", word[cut:]
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    return [*lines, line] if line else lines


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
