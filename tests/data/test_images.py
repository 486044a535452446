"""Images become frames: cropped, resized, without transparency, in the orientation of their metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan.data.images import decode_frame, frame_from_file, frame_from_image


def test_longer_side_is_cropped_to_the_centre() -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = 200
    assert (decode_frame(frame_from_image(Image.fromarray(pixels))) == 200).all()
    assert (decode_frame(frame_from_image(Image.fromarray(pixels.transpose(1, 0, 2)))) == 200).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_white_stays_white_in_every_mode(tmp_path: Path, mode: str) -> None:
    white = 65535 if mode == "I;16" else None
    image = Image.new(mode, (80, 50), white) if white else Image.new("RGB", (80, 50), "white").convert(mode)
    path = tmp_path / {"CMYK": "p.tif", "YCbCr": "p.jpg"}.get(mode, "p.png")
    image.save(path)
    assert (decode_frame(frame_from_file(path)) == 255).all()


def test_transparent_is_white_and_exif_orientation_is_applied(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert (decode_frame(frame_from_image(clear)) == 255).all()
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32] = 255  # above; rotated by 90 degrees clockwise it is on the right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "rotated.png", exif=exif)
    frame = decode_frame(frame_from_file(tmp_path / "rotated.png"))
    assert frame[:, 40:].min() == 255
    assert frame[:, :24].max() == 0


def test_mode_without_a_range_is_refused(tmp_path: Path) -> None:
    Image.new("F", (64, 64)).save(tmp_path / "f.tif")
    with pytest.raises(ValueError, match="mode F has no known range"):
        frame_from_file(tmp_path / "f.tif")
