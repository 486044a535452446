"""Encode and decode frames and masks: PNG or WebP bytes <-> uint8 (H,W,3), PNG bytes <-> bool (H,W)."""

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
from storygan.files import open_regular

SIZE = 64  # pixels a side of an imported frame, by default
FORMATS = ("PNG", "WEBP")  # of a frame in a data set
MAX_PIXELS = 2048**2  # of a frame in a data set
# Formats to import. Pillow knows more, and runs another program for one of them (PostScript).
IMPORT_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")
MAX_IMPORT_PIXELS = 2**26  # of an image to import: 8192 x 8192, up to 800 MB while it is resized
IMAGE_ERRORS = (  # raised by Pillow on damaged files
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
def open_image(source: Path | io.BytesIO, formats: tuple[str, ...], max_pixels: int) -> Iterator[Image.Image]:
    """Open an image of one of these formats with 1 to `max_pixels` pixels, not decoded yet.

    Pillow's warnings (of odd metadata) are silenced. Raises one of IMAGE_ERRORS where there is no such image.
    """
    with open_regular(source) if isinstance(source, Path) else source as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=formats) as image:
            if not 1 <= image.width * image.height <= max_pixels:
                raise ValueError(f"it has {image.width} x {image.height} pixels: from 1 to {max_pixels:,} are read")
            yield image


def decode_frame(encoded: bytes) -> np.ndarray:
    """Decode PNG or WebP bytes to uint8 (H,W,3). Raises ValueError where they are damaged or not RGB."""
    return _decode(encoded, FORMATS, ("RGB",))


def decode_mask(encoded: bytes) -> np.ndarray:
    """Decode PNG bytes to bool (H,W). Raises ValueError where they are damaged or not of one channel."""
    return _decode(encoded, ("PNG",), ("1", "L")) != 0


def _decode(encoded: bytes, formats: tuple[str, ...], modes: tuple[str, ...]) -> np.ndarray:
    try:
        with open_image(io.BytesIO(encoded), formats, MAX_PIXELS) as image:
            if image.mode not in modes:
                raise ValueError(f"the image is {image.mode}, not {' or '.join(modes)}")
            return np.array(image)
    except IMAGE_ERRORS as error:
        problem = f"not a readable {' or '.join(formats).replace('WEBP', 'WebP')} image: {reason(error)}"
        raise ValueError(reason(error) if isinstance(error, ValueError) else problem) from error


def encode_png(image: Image.Image, optimize: bool = True) -> bytes:
    """Encode an image as PNG. Without `optimize`, this takes half the time and gives somewhat more bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB. The EXIF orientation is applied, and transparency becomes white.

    Raises:
        ValueError: its values have no known range (modes I and F); or another of IMAGE_ERRORS: it is damaged.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"an image of mode {image.mode} has no known range: save it with 8 bits per channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def frame_from_image(image: Image.Image, size: int = SIZE) -> bytes:
    """Convert an image as `to_rgb`, crop it to a square, resize it and encode it as PNG. Raises as `to_rgb`."""
    return encode_png(ImageOps.fit(to_rgb(image), (size, size), Image.Resampling.BILINEAR))


def frame_from_file(path: Path, size: int = SIZE) -> bytes:
    """Read an image of one of IMPORT_FORMATS as `frame_from_image`. Raises ValueError, one line, where it cannot."""
    try:
        with open_image(path, IMPORT_FORMATS, MAX_IMPORT_PIXELS) as image:
            return frame_from_image(image, size)
    except IMAGE_ERRORS as error:
        raise ValueError(_problem(error, path)) from error


def read_frame(source: Path | bytes, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Read a PNG or WebP picture of any size as a frame, resized as importers do, but without cropping.

    Args:
        source: a file, or its content.
        size: pixels a side of the frame.

    Returns:
        uint8 (size, size, 3), and the width and height of the picture.

    Raises:
        ValueError: one line, if the picture cannot be read.
    """
    path = source if isinstance(source, Path) else None
    try:
        with open_image(path or io.BytesIO(source), FORMATS, MAX_PIXELS) as image:  # type: ignore[arg-type]
            rgb = to_rgb(image)
    except IMAGE_ERRORS as error:
        raise ValueError(_problem(error, path)) from error
    found = rgb.size
    return np.array(rgb if found == (size, size) else rgb.resize((size, size), Image.Resampling.BILINEAR)), found


def _problem(error: BaseException, path: Path | None) -> str:
    """Describe one of IMAGE_ERRORS in a line that names the file without its folder."""
    problem = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
    return problem.replace(str(path), path.name) if path else problem
