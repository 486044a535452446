"""Frames into files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan import viz
from storygan.errors import StoryganError, UsageError

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


def test_a_picture_larger_than_its_format_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"cannot write .*wide\.webp: "):
        viz.save_story(np.zeros((1, 2100, 1, 8, 3), np.uint8), tmp_path / "wide.webp")  # WebP ends at 16,383 pixels
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.webp")
    before = (tmp_path / "s.webp").read_bytes()
    with pytest.raises(StoryganError, match="cannot write"):
        viz.save_story(np.zeros((1, 2100, 1, 8, 3), np.uint8), tmp_path / "s.webp")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("s.webp", before)]


def test_a_picture_takes_bounded_memory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--scale is 65"):
        viz.check_out(tmp_path / "s.png", 65)
    many = np.broadcast_to(FRAMES[:1], (10_000, *FRAMES.shape[1:]))
    for name in ("s.png", "s.gif"):
        with pytest.raises(UsageError, match=r"pixels: lower --scale"):
            viz.save_story(many, tmp_path / name, 64)
    with pytest.raises(UsageError, match=r"pixels: lower --scale"):
        viz.sheet([viz.Row("", FRAMES[0])] * 10_000, 64)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_holds_every_frame_and_its_words() -> None:
    rows = [viz.Row("one", FRAMES[0], ["a word", "", "two words"]), viz.Row("", FRAMES[1, :2])]
    page = viz.sheet(rows, scale=4)
    height, width, _ = page.shape
    pixels = {bytes(page[y : y + 32, x : x + 32]) for y in range(height - 31) for x in range(128, width - 31)}
    for frame in (*FRAMES[0], *FRAMES[1, :2]):
        assert bytes(frame.repeat(4, axis=0).repeat(4, axis=1)) in pixels
    assert (page[:, :128] < 128).any()  # the label
    without = viz.sheet([viz.Row("", row.frames) for row in rows], scale=4)
    assert (without[:, :128] == 255).all()
    assert len(without) < height


def test_long_words_take_bounded_room() -> None:
    row = viz.Row("label " * 1000, FRAMES[0], ["x" * 10_000, "word " * 2000, ""])
    assert len(viz.sheet([row], scale=4)) < 200


def test_rows_of_different_lengths_make_a_picture_alone(tmp_path: Path) -> None:
    rows = [viz.Row("one", FRAMES[0]), viz.Row("two", FRAMES[1, :2])]
    viz.save_sheet(rows, tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), viz.sheet(rows))
    for name in ("sheet.gif", "sheet"):
        with pytest.raises(UsageError, match="rows of different lengths"):
            viz.save_sheet(rows, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_sheet_as_a_gif_and_a_folder(tmp_path: Path) -> None:
    rows = [viz.Row("one", FRAMES[0]), viz.Row("two", FRAMES[1])]
    for name in ("sheet.png", "sheet.gif", "sheet"):
        viz.save_sheet(rows, tmp_path / name)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), viz.sheet(rows))
    assert len(list((tmp_path / "sheet").iterdir())) == 6
    with Image.open(tmp_path / "sheet.gif") as gif:
        assert gif.n_frames == 3
