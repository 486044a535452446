"""Frames into files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan import viz
from storygan.types import UsageError

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)


def test_strips_hold_every_pixel() -> None:
    page = viz.strips(FRAMES, scale=2)
    assert page.shape == (2 * (2 * 8 + 2), 2 * (3 * 8 + 2 * 2), 3)
    small = page[::2, ::2]
    for n in range(2):
        for t in range(3):
            assert np.array_equal(small[n * 10 : n * 10 + 8, t * 10 : t * 10 + 8], FRAMES[n, t])
    assert (small[8:10] == 255).all()


def test_png_is_lossless(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.png", scale=1)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "s.png")), viz.strips(FRAMES))


def test_gif_has_a_picture_for_each_sentence(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.gif")
    with Image.open(tmp_path / "s.gif") as gif:
        assert gif.n_frames == 3
        assert gif.size == (16, 36)


def test_a_folder_of_frames(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s")
    assert len(list((tmp_path / "s").iterdir())) == 6
    assert np.array_equal(np.asarray(Image.open(tmp_path / "s" / "story-2-frame-3.png")), FRAMES[1, 2])


def test_a_wrong_name_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png"):
        viz.check_out(tmp_path / "story.bmp")
    with pytest.raises(UsageError, match="there is no folder"):
        viz.check_out(tmp_path / "none" / "story.png")
