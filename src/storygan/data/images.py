"""Frames as bytes and as arrays: PNG or WebP bytes <-> uint8 (H,W,3)."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

FORMATS = ("PNG", "WEBP")  # what a frame of a dataset may be
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # all that Pillow raises on bad bytes


def decode_frame(encoded: bytes) -> np.ndarray:
    """PNG or WebP bytes -> uint8 (H,W,3); ValueError where they are damaged, of another format or not RGB."""
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            if image.mode != "RGB":
                raise ValueError(f"the image is {image.mode}, not RGB")
            return np.array(image)
    except UNREADABLE as error:
        raise ValueError(
            f"not a readable PNG or WebP image: {error}" if isinstance(error, OSError) else error
        ) from error


def encode_png(image: Image.Image) -> bytes:
    """The image's PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
