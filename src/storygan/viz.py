"""Pictures for people: frames at display size with captions. Frames are uint8 (..., H, W, 3)."""

from __future__ import annotations

import io
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from storygan.errors import StoryganError, UsageError, require_whole
from storygan.files import atomic_write

SCALE = 3
"""Display pixels per frame pixel, vertically."""
MAX_SCALE = 64
MAX_PIXELS = 2**27
"""Largest picture or animation, in pixels. A pixel takes about ten bytes of memory."""
MAX_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Largest width or height of a picture in these formats, in pixels."""
GAP = 2
"""White frame pixels around each frame."""
FONT_SIZE, MIN_FONT_SIZE = 5, 12
"""Font size in frame pixels, and its minimum in display pixels."""
MAX_LINES = 6
"""Largest number of lines of a caption or label."""
MAX_TEXT = 1000
"""Characters of a caption or a label that are read."""
FRAME_MS = 1500
"""Milliseconds that an animation shows each frame."""
SUFFIXES = ("", ".gif", ".png", ".jpg", ".jpeg", ".webp")

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def enlarge(frames: np.ndarray, scale: int = SCALE, aspect_ratio: float = 1.0) -> np.ndarray:
    """Resize frames to display size with a Lanczos filter.

    Args:
        frames: uint8 (..., H, W, 3).
        scale: display pixels per frame pixel, vertically.
        aspect_ratio: display width over height of a square frame; 4/3 for CLEVR-SV.

    Returns:
        uint8 (..., scale * H, scale * W * aspect_ratio, 3), the width rounded.
    """
    size = _display_size(frames, scale, aspect_ratio)
    flat = [np.asarray(_resized(frame, size)) for frame in frames.reshape(-1, *frames.shape[-3:])]
    return np.stack(flat).reshape(*frames.shape[:-3], *flat[0].shape)


def _display_size(frames: np.ndarray, scale: int, aspect_ratio: float) -> tuple[int, int]:
    H, W = frames.shape[-3:-1]
    return round(scale * W * aspect_ratio), scale * H


def _resized(frame: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Row:
    """Frames side by side, with a label to their left and captions below."""

    label: str
    frames: np.ndarray
    """uint8 (n, H, W, 3)."""
    captions: Sequence[str] = ()
    """One per frame, or one as wide as the sheet, or none."""


def story_rows(frames: np.ndarray, captions: Sequence[str] = ()) -> list[Row]:
    """Return one row for each sample (N, T, H, W, 3) of a story, with the T captions under the last one."""
    return [Row("", sample, captions if n == len(frames) else ()) for n, sample in enumerate(frames, 1)]


def sheet(rows: Sequence[Row], scale: int = SCALE, aspect_ratio: float = 1.0, captions: bool = True) -> np.ndarray:
    """Draw rows of frames below one another.

    Args:
        rows: of frames of one size; their lengths may differ.
        scale: display pixels per frame pixel, vertically.
        aspect_ratio: display width over height of a frame.
        captions: whether to draw the captions.

    Returns:
        uint8 (height, width, 3).

    Raises:
        UsageError: The picture has more than MAX_PIXELS.
    """
    return np.asarray(_pages([rows], scale, aspect_ratio, captions)[0])


def _pages(moments: Sequence[Sequence[Row]], scale: int, aspect_ratio: float, captions: bool) -> list[Image.Image]:
    """Draw the sheets of an animation. Every moment has as many rows as the first; a row is at the same place in all.

    Raises:
        UsageError: All together have more than MAX_PIXELS.
    """
    frame_size = W, H = _display_size(moments[0][0].frames, scale, aspect_ratio)
    gap, font_size = GAP * scale, max(MIN_FONT_SIZE, FONT_SIZE * scale)
    font, line = load_font(font_size), round(1.3 * font_size)
    columns = max(len(row.frames) for rows in moments for row in rows)
    full_width = columns * (W + gap) - gap
    longest = max(int(font.getlength(row.label[:MAX_TEXT])) for rows in moments for row in rows)
    label_width = min(9 * font_size, longest + 2 * gap) if longest else 0
    left = gap + label_width
    texts = [  # by moment, by row: the lines of the label, and those of each caption
        [
            (
                wrap(row.label, font, label_width - gap),
                [
                    wrap(caption, font, full_width if len(row.captions) == 1 else W)
                    for caption in (row.captions if captions else ())
                ],
            )
            for row in rows
        ]
        for rows in moments
    ]
    tops = [gap]
    for same_row in zip(*texts, strict=True):
        below = max((len(lines) * line + gap for _, each in same_row for lines in each if lines), default=0)
        tops.append(tops[-1] + max(H + below, *(len(label) * line for label, _ in same_row)) + gap)
    width, height = left + full_width + gap, tops[-1]
    if width * height * len(moments) > MAX_PIXELS:
        size = f"{width:,} x {height:,}" + (f" x {len(moments)}" if len(moments) > 1 else "")
        raise _too_large(size)
    pages = []
    for rows, row_texts in zip(moments, texts, strict=True):
        page = Image.new("RGB", (width, height), "white")
        pen = ImageDraw.Draw(page)
        for row, (label, captions_of_row), top in zip(rows, row_texts, tops, strict=False):
            corners = [(left + n * (W + gap), top) for n in range(columns)]
            for corner, frame in zip(corners, row.frames, strict=False):
                page.paste(_resized(frame, frame_size), corner)
            blocks = [((gap, top), label)]
            blocks += [((x, y + H + gap // 2), lines) for (x, y), lines in zip(corners, captions_of_row, strict=False)]
            for (x, y), lines in blocks:
                for k, words in enumerate(lines):
                    pen.text((x, y + k * line), words, "black", font)
        pages.append(page)
    return pages


@cache
def load_font(size: int) -> Font:
    """Load the font that comes with Pillow."""
    return ImageFont.load_default(size)


def wrap(text: str, font: Font, width: float, max_lines: int = MAX_LINES) -> list[str]:
    """Break text into lines of at most `width` pixels; a longer word is broken, and text past `max_lines` cut off."""
    lines, line = [], ""
    for word in text[:MAX_TEXT].split():
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
    lines += [line] * bool(line)
    return lines if len(lines) <= max_lines else [*lines[: max_lines - 1], f"{lines[max_lines - 1][:-1]}…"]


def encode(picture: np.ndarray | Image.Image, suffix: str, **options: Any) -> bytes:
    """Encode a picture, uint8 (H, W, 3) or an image, in the format that the suffix names.

    Raises:
        OSError, ValueError: The picture is larger than the format allows.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[suffix.lower()], **options)
    return file.getvalue()


def _encode_gif(pages: Sequence[Image.Image]) -> bytes:
    """Encode an animation. Pillow's own palettes, one a page, lose the colours of small objects."""
    width, height = pages[0].size
    together = Image.new("RGB", (width, height * len(pages)))
    for n, page in enumerate(pages):
        together.paste(page, (0, n * height))
    palette = together.quantize(256, Image.Quantize.FASTOCTREE)
    first, *others = (page.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for page in pages)
    return encode(first, ".gif", save_all=True, append_images=others, duration=FRAME_MS, loop=0)


def data_uri(picture: np.ndarray) -> str:
    """Encode a uint8 (H, W, 3) picture as a `data:` URI (WebP), for HTML."""
    return "data:image/webp;base64," + b64encode(encode(picture, ".webp", quality=90, method=2)).decode()


def check_out(out: Path, scale: int = SCALE) -> None:
    """Raise UsageError if `save_story` or `save_sheet` cannot write `out` at this scale."""
    require_whole("--scale", scale, 1, MAX_SCALE)
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out}: give a name that ends in .png, .jpg, .webp or .gif, or a folder without an ending")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")
    if out.exists() and out.is_dir() == bool(out.suffix):
        raise UsageError(f"cannot write {out}: it is a {'folder' if out.suffix else 'file'}; give another name")


def check_size(out: Path, rows: int, columns: int, side: int, scale: int = SCALE, aspect_ratio: float = 1.0) -> None:
    """Raise UsageError if rows and columns of frames with `side` pixels are too large for `out`, without captions."""
    suffix, gap = out.suffix.lower(), GAP * scale
    width, height = round(columns * (side * scale * aspect_ratio + gap)), rows * (side * scale + gap)
    if suffix and (width * height > MAX_PIXELS or max(width, height) > MAX_SIDE.get(suffix, MAX_PIXELS)):
        raise _too_large(f"{width:,} x {height:,}")


def _too_large(size: str) -> UsageError:
    return UsageError(f"the picture has {size} pixels: lower --scale or --samples, or give --out a folder")


def save_story(
    frames: np.ndarray,
    out: Path,
    story: Sequence[str] = (),
    scale: int = SCALE,
    aspect_ratio: float = 1.0,
    captions: bool = True,
) -> None:
    """Save samples of a story. The suffix of `out` selects the format.

    - `.png`, `.jpg`, `.webp`: a strip for each sample, with the sentences as captions below.
    - `.gif`: an animation of the frames, the samples in a grid.
    - None: a folder of the unscaled frames, `story-1-frame-1.png` and so on.

    Existing files are replaced atomically.

    Args:
        frames: uint8 (N, T, H, W, 3).
        out: the file or folder.
        story: T sentences, or none.
        scale: display pixels per frame pixel, vertically; not for a folder.
        aspect_ratio: display width over height of a frame; not for a folder.
        captions: whether to draw the sentences.

    Raises:
        UsageError: The suffix is unknown, or the picture has more than MAX_PIXELS.
        StoryganError: `out` cannot be written.
    """
    rows = story_rows(frames, story)
    columns = isqrt(len(frames) - 1) + 1
    starts = range(0, len(frames), columns)
    grids = [
        [Row("", frames[n : n + columns, t], story[t : t + 1] if n == starts[-1] else ()) for n in starts]
        for t in range(frames.shape[1])
    ]
    _save(rows, grids, out, scale, aspect_ratio, captions)


def save_sheet(
    rows: Sequence[Row], out: Path, scale: int = SCALE, aspect_ratio: float = 1.0, captions: bool = True
) -> None:
    """Save rows of frames as `save_story` does; a GIF shows one column at a time.

    Raises:
        UsageError: As `save_story`, or rows of different lengths for a GIF or a folder.
        StoryganError: `out` cannot be written.
    """
    if len({len(row.frames) for row in rows}) > 1 and out.suffix.lower() in ("", ".gif"):
        raise UsageError(f"{out}: rows of different lengths fit a picture only: give a name that ends in .png")
    columns = [
        [Row(row.label, row.frames[t : t + 1], row.captions[t : t + 1]) for row in rows]
        for t in range(len(rows[0].frames))
    ]
    _save(rows, columns, out, scale, aspect_ratio, captions)


def save_animation(
    moments: Sequence[Sequence[Row]], out: Path, scale: int = SCALE, aspect_ratio: float = 1.0, captions: bool = True
) -> None:
    """Save a GIF that shows one sheet after the other. Every moment has as many rows as the first."""
    _save(moments[0], moments, out, scale, aspect_ratio, captions)


def _save(
    rows: Sequence[Row], moments: Sequence[Sequence[Row]], out: Path, scale: int, aspect_ratio: float, captions: bool
) -> None:
    check_out(out, scale)
    suffix = out.suffix.lower()
    try:
        if not suffix:
            out.mkdir(parents=True, exist_ok=True)
            for n, row in enumerate(rows, 1):
                for t, frame in enumerate(row.frames, 1):
                    atomic_write(out / f"story-{n}-frame-{t}.png", encode(frame, ".png"))
        elif suffix == ".gif":
            atomic_write(out, _encode_gif(_pages(moments, scale, aspect_ratio, captions)))
        else:
            (page,) = _pages([rows], scale, aspect_ratio, captions)
            atomic_write(out, encode(page, suffix, **({} if suffix == ".png" else {"quality": 92})))
    except (OSError, ValueError) as error:  # ValueError: more pixels than the format allows
        raise StoryganError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}") from error
