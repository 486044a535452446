"""Pictures in a terminal: by the graphics protocol of kitty where the terminal has it, otherwise as coloured blocks."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Mapping

import numpy as np
from PIL import Image

from storygan.viz import encode

CHUNK = 4096
"""Characters of one part of a picture in kitty's protocol."""


def preview(picture: np.ndarray, environment: Mapping[str, str] = os.environ, columns: int = 0) -> str:
    """Return a picture, uint8 (H, W, 3), as text for the terminal.

    Args:
        picture: of any size.
        environment: names the terminal.
        columns: of the terminal; 0: its width now.
    """
    if has_graphics(environment):
        return kitty(picture)
    return blocks(picture, columns or shutil.get_terminal_size().columns)


def has_graphics(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal is one with kitty's graphics protocol, without a multiplexer between."""
    if "TMUX" in environment or "STY" in environment:
        return False
    names = (environment.get("TERM", ""), environment.get("TERM_PROGRAM", "").lower())
    return "KITTY_WINDOW_ID" in environment or any(name in ("xterm-kitty", "ghostty", "wezterm") for name in names)


def kitty(picture: np.ndarray) -> str:
    """Return a picture as a PNG in kitty's graphics protocol."""
    data = b64encode(encode(picture, ".png")).decode()
    parts = [data[k : k + CHUNK] for k in range(0, len(data), CHUNK)]
    last = len(parts) - 1
    return "".join(
        f"\x1b_G{'a=T,f=100,' if k == 0 else ''}m={int(k < last)};{part}\x1b\\" for k, part in enumerate(parts)
    )


def blocks(picture: np.ndarray, columns: int) -> str:
    """Return a picture as rows of half blocks in 24-bit colours, each of two pixels above each other."""
    height, width = picture.shape[:2]
    columns = max(1, min(columns, width))
    rows = max(1, round(columns * height / width / 2))
    pixels = np.asarray(Image.fromarray(picture).resize((columns, 2 * rows), Image.Resampling.LANCZOS))
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{';'.join(map(str, above))};48;2;{';'.join(map(str, below))}m▀"
            for above, below in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
