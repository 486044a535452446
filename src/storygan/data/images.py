"""Frames and masks as bytes and as arrays: PNG or WebP bytes <-> uint8 (H,W,3), PNG bytes <-> bool (H,W)."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from storygan.files import is_file
from storygan.types import reason

FORMATS = ("PNG", "WEBP")  # what a frame of a dataset may be
MOST_PIXELS = 2048**2  # of a data set's frame
# all that Pillow raises on bad bytes
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    EOFError,
    MemoryError,
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
)


@contextmanager
def opened(source: Path | io.BytesIO, formats: tuple[str, ...], most: int) -> Iterator[Image.Image]:
    """A picture of one of these formats with at least 1 and at most `most` pixels, none of them decoded yet.

    One of UNREADABLE where there is none. Of what Pillow warns of (odd metadata), nothing is said.
    """
    if isinstance(source, Path) and not is_file(source):
        raise FileNotFoundError(f"{source.name} is not a file")  # a pipe would be waited for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(source, formats=formats) as image:
            pixels = image.width * image.height
            if not 1 <= pixels <= most:
                raise ValueError(f"it has {image.width} x {image.height} pixels: from 1 to {most:,} are read")
            yield image


def decode_frame(encoded: bytes) -> np.ndarray:
    """PNG or WebP bytes -> uint8 (H,W,3); ValueError where they are damaged, of another format or not RGB."""
    return _decode(encoded, FORMATS, ("RGB",))


def decode_mask(encoded: bytes) -> np.ndarray:
    """PNG bytes -> bool (H,W); ValueError where they are damaged, of another format or not of one channel."""
    return _decode(encoded, ("PNG",), ("1", "L")) != 0


def _decode(encoded: bytes, formats: tuple[str, ...], modes: tuple[str, ...]) -> np.ndarray:
    try:
        with opened(io.BytesIO(encoded), formats, MOST_PIXELS) as image:
            if image.mode not in modes:
                raise ValueError(f"the image is {image.mode}, not {' or '.join(modes)}")
            return np.array(image)
    except UNREADABLE as error:
        words = f"not a readable {' or '.join(formats).replace('WEBP', 'WebP')} image: {reason(error)}"
        raise ValueError(reason(error) if isinstance(error, ValueError) else words) from error


def encode_png(image: Image.Image, optimize: bool = True) -> bytes:
    """The image's PNG bytes; without `optimize` in half the time, and somewhat more of them."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def data_uri(pixels: np.ndarray) -> str:
    """uint8 (H, W, 3) -> a PNG as the text of a link."""
    return "data:image/png;base64," + b64encode(encode_png(Image.fromarray(pixels))).decode()
