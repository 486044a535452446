"""Frames and masks as bytes and as arrays: PNG or WebP bytes <-> uint8 (H,W,3), PNG bytes <-> bool (H,W)."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from storygan.errors import reason
from storygan.files import is_file

FORMATS = ("PNG", "WEBP")  # what a frame of a dataset may be
MAX_PIXELS = 2048**2  # of a data set's frame
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
        with opened(io.BytesIO(encoded), formats, MAX_PIXELS) as image:
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


SIZE = 64  # pixels of a side
MAX_IMPORT_PIXELS = 2**26  # of a picture that is imported: 8192 x 8192, up to 800 MB while it is brought to size
# Those in which pictures come. Pillow knows more, and runs another program for one of them (PostScript).
IMPORT_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")


def frame_from_image(image: Image.Image) -> bytes:
    """The picture as a frame; one of UNREADABLE where it is damaged or its values have no known range."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"a picture of mode {image.mode} has no known range: save it with 8 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return encode_png(ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR))


def frame_from_file(path: Path) -> bytes:
    """The picture in a file of one of IMPORT_FORMATS as a frame; ValueError (one line) where it has none."""
    try:
        with opened(path, IMPORT_FORMATS, MAX_IMPORT_PIXELS) as image:
            return frame_from_image(image)
    except UNREADABLE as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
        raise ValueError(said.replace(str(path), path.name)) from error
