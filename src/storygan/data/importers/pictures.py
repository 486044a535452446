"""Any picture -> a frame: 64x64 RGB PNG bytes.

A picture is turned as its EXIF orientation says; what is transparent becomes white; 16-bit gray keeps its upper 8
bits; the longer side is cropped equally at both ends to the length of the shorter; then Pillow's bilinear filter, which
averages over the whole area that a new pixel covers, brings it to 64x64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from storygan.data.images import UNREADABLE, encode_png, opened
from storygan.types import reason

SIZE = 64  # pixels of a side
MOST_PIXELS = 2**26  # of a picture that is imported: 8192 x 8192, up to 800 MB while it is brought to size
# Those in which pictures come. Pillow knows more, and runs another program for one of them (PostScript).
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")


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
    """The picture in a file of one of FORMATS as a frame; ValueError (one line) where it has none."""
    try:
        with opened(path, FORMATS, MOST_PIXELS) as image:
            return frame_from_image(image)
    except UNREADABLE as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
        raise ValueError(said.replace(str(path), path.name)) from error
