"""The files of one sample to download: pictures, a comic page, the story."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from storygan.editing import StoryOutput
from storygan.viz import load_font, save_story, wrap

PAGE = (1240, 1754)
"""Pixels of an A4 page at DPI."""
DPI = 150
MARGIN, GUTTER = 60, 36
INK, PAPER, BOX = (24, 24, 32), (255, 255, 255), (255, 246, 200)
MAX_FONT_SIZE, MIN_FONT_SIZE = 34, 14
SCALE = 4


def comic_page(frames: np.ndarray, sentences: Sequence[str], aspect_ratio: float = 1.0) -> Image.Image:
    """Draw T frames, uint8 (T, H, W, 3), with their sentences below as an RGB page of PAGE pixels."""
    T = len(frames)
    columns = 1 if T == 1 else 2 if T <= 6 else 3
    rows = -(-T // columns)
    cell_width = (PAGE[0] - 2 * MARGIN - (columns - 1) * GUTTER) // columns
    cell_height = (PAGE[1] - 2 * MARGIN - (rows - 1) * GUTTER) // rows
    caption = min(150, cell_height // 4)
    width = round(min(cell_width, (cell_height - caption) * aspect_ratio))
    height = round(width / aspect_ratio)
    page = Image.new("RGB", PAGE, PAPER)
    pen = ImageDraw.Draw(page)
    top = (PAGE[1] - rows * (height + caption) - (rows - 1) * GUTTER) // 2
    for t, (frame, sentence) in enumerate(zip(frames, sentences, strict=True)):
        row, column = divmod(t, columns)
        in_row = min(columns, T - row * columns)
        left = (PAGE[0] - in_row * width - (in_row - 1) * GUTTER) // 2  # an incomplete last row is centred
        x, y = left + column * (width + GUTTER), top + row * (height + caption + GUTTER)
        page.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS), (x, y))
        pen.rectangle((x, y + height, x + width, y + height + caption), fill=BOX)
        pen.rectangle((x, y, x + width, y + height + caption), outline=INK, width=5)
        pen.line((x, y + height, x + width, y + height), fill=INK, width=5)
        _write(pen, sentence, (x + width / 2, y + height + caption / 2), width - 40, caption - 24)
    return page


def _write(pen: ImageDraw.ImageDraw, text: str, centre: tuple[float, float], width: int, height: int) -> None:
    """Write text around the centre in the largest font that fits; cut it off if the smallest does not."""
    for size in range(MAX_FONT_SIZE, MIN_FONT_SIZE - 1, -2):
        font = load_font(size)
        max_lines = int(height // (1.3 * size))
        if len(wrap(text, font, width, max_lines + 1)) <= max_lines:
            break
    lines = wrap(text, font, width, max_lines)
    pen.multiline_text(centre, "\n".join(lines), INK, font, anchor="mm", align="center", spacing=0.3 * size)


def write_files(output: StoryOutput, folder: Path) -> list[Path]:
    """Write the files of one sample into an existing folder.

    Returns:
        The strip (PNG), the animation (GIF), the comic page (PNG and PDF) and the story, which `storygan generate
        --file` reads.
    """
    strip, animation, page, pdf, story = (
        folder / name for name in ("story.png", "story.gif", "comic.png", "comic.pdf", "story.txt")
    )
    for path in (strip, animation):
        save_story(output.frames, path, output.sentences, SCALE, output.aspect_ratio)
    comic = comic_page(output.frames[0], output.sentences, output.aspect_ratio)
    comic.save(page, dpi=(DPI, DPI))
    comic.save(pdf, resolution=DPI, quality=92)
    story.write_text("\n".join(output.sentences) + "\n", encoding="utf-8")
    return [strip, animation, page, pdf, story]


def delete_oldest(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` files two levels below the folder, and the folders that become empty."""

    def modified(path: Path) -> float:
        with suppress(FileNotFoundError):  # another request has deleted it
            return path.stat().st_mtime
        return 0.0

    for path in sorted(folder.glob("*/*"), key=modified)[:-keep]:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
