"""Pictures of frames: layout, captions, display size and files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan import viz
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
STORY = ["a word", "two words", "three more words"]


def test_enlarge_has_the_display_aspect_ratio() -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    frames[:, :, 32:] = 200
    shown = viz.enlarge(frames, 3, 4 / 3)
    assert shown.shape == (2, 192, 256, 3)
    assert (shown[:, :, :100] == 0).all()
    assert (shown[:, :, 156:] == 200).all()


def test_enlarge_is_smooth_and_at_scale_1_the_identity() -> None:
    assert np.array_equal(viz.enlarge(FRAMES, 1), FRAMES)
    step = np.zeros((4, 4, 3), np.uint8)
    step[:, 2:] = 255
    assert len(np.unique(viz.enlarge(step, 8))) > 4  # nearest neighbour would have two levels


def test_a_sheet_at_scale_1_has_every_pixel() -> None:
    page = viz.sheet(viz.story_rows(FRAMES), scale=1)
    assert page.shape == (2 * (8 + 2) + 2, 3 * (8 + 2) + 2, 3)
    for n in range(2):
        for t in range(3):
            assert np.array_equal(page[2 + n * 10 :, 2 + t * 10 :][:8, :8], FRAMES[n, t])
    assert (page[10:12] == 255).all()


def test_captions_are_below_their_frames() -> None:
    plain = viz.sheet(viz.story_rows(FRAMES[:, :, :1]), scale=8)
    rows = viz.story_rows(FRAMES, ["one", "", "three"])
    page = viz.sheet(rows, scale=8)
    below = page[2 * (64 + 16) + 16 :]
    dark = [(below[:, 16 + t * 80 :][:, :64] < 128).any() for t in range(3)]
    assert dark == [True, False, True]
    assert np.array_equal(viz.sheet(rows, scale=8, captions=False), page[: 2 * 80 + 16])
    assert page.shape[1] == plain.shape[1]


def test_labels_are_left_of_the_frames() -> None:
    rows = [viz.Row("one", FRAMES[0]), viz.Row("", FRAMES[1, :2])]
    page, plain = (viz.sheet(each, scale=4) for each in (rows, viz.story_rows(FRAMES)))
    left = page.shape[1] - plain.shape[1]
    assert (page[:40, :left] < 128).any()
    assert (page[40:, :left] == 255).all()
    assert np.array_equal(page[:40, left:], plain[:40])


def test_long_text_is_cut_off() -> None:
    row = viz.Row("label " * 1000, FRAMES[0], ["x" * 10_000, "word " * 2000, ""])
    assert len(viz.sheet([row], scale=4)) < 250
    font = viz.load_font(12)
    lines = viz.wrap("word " * 2000, font, 100, max_lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert viz.wrap("two words", font, 1000) == ["two words"]
    assert all(font.getlength(line) <= 100 for line in viz.wrap("x" * 500, font, 100, max_lines=1000))


def test_png_is_lossless(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.png", STORY)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "s.png")), viz.sheet(viz.story_rows(FRAMES, STORY)))


def test_a_gif_has_a_page_for_each_sentence(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.gif", STORY, scale=8)
    with Image.open(tmp_path / "s.gif") as gif:
        assert gif.n_frames == 3
        assert gif.width == 2 * (64 + 16) + 16  # the samples side by side
        pages = []
        for t in range(3):
            gif.seek(t)
            pages.append(np.asarray(gif.convert("RGB")).astype(int))
    assert [(page[80:] < 128).any() for page in pages] == [True, True, True]
    for t in range(3):
        shown = viz.enlarge(FRAMES[1, t], 8)
        assert np.abs(pages[t][16:80, 96:160] - shown).mean() < 20  # of 256 colours


def test_a_gif_keeps_the_colour_of_a_small_object(tmp_path: Path) -> None:
    """Pillow's own palette, 256 colours for each page, is off by 10 levels here."""
    story = ["small blue metal cylinder at (-1.5, -0.7)", *["large red rubber cube at (2.2, -2.8)"] * 3]
    frames = StoryGAN.from_pretrained("clevr-sv").generate(story, seed=7).frames
    viz.save_story(frames, tmp_path / "s.gif", story)
    with Image.open(tmp_path / "s.gif") as gif:
        page = np.asarray(gif.convert("RGB")).astype(int)[6:198, 6:198]
    shown = viz.enlarge(frames[0, 0]).astype(int)
    blue = shown.max(-1) - shown.min(-1) > 50
    assert blue.sum() > 50
    assert np.abs(page - shown)[blue].mean() < 5


def test_an_animation_shows_one_sheet_after_the_other(tmp_path: Path) -> None:
    viz.save_animation([[viz.Row("one", FRAMES[0])], [viz.Row("two", FRAMES[1])]], tmp_path / "s.gif")
    with Image.open(tmp_path / "s.gif") as gif:
        assert gif.n_frames == 2


def test_a_folder_of_frames(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s", STORY, aspect_ratio=4 / 3)
    assert len(list((tmp_path / "s").iterdir())) == 6
    assert np.array_equal(np.asarray(Image.open(tmp_path / "s" / "story-2-frame-3.png")), FRAMES[1, 2])


def test_a_sheet_as_a_gif_and_a_folder(tmp_path: Path) -> None:
    rows = [viz.Row("one", FRAMES[0]), viz.Row("two", FRAMES[1])]
    for name in ("sheet.png", "sheet.gif", "sheet"):
        viz.save_sheet(rows, tmp_path / name)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), viz.sheet(rows))
    assert len(list((tmp_path / "sheet").iterdir())) == 6
    with Image.open(tmp_path / "sheet.gif") as gif:
        assert gif.n_frames == 3


def test_rows_of_different_lengths_fit_a_picture_only(tmp_path: Path) -> None:
    rows = [viz.Row("one", FRAMES[0]), viz.Row("two", FRAMES[1, :2])]
    viz.save_sheet(rows, tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), viz.sheet(rows))
    for name in ("sheet.gif", "sheet"):
        with pytest.raises(UsageError, match="rows of different lengths"):
            viz.save_sheet(rows, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_an_unknown_suffix_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png"):
        viz.check_out(tmp_path / "story.bmp")
    with pytest.raises(UsageError, match="there is no folder"):
        viz.check_out(tmp_path / "none" / "story.png")
    with pytest.raises(UsageError, match="--scale is 65"):
        viz.check_out(tmp_path / "s.png", 65)


def test_a_picture_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    viz.save_story(FRAMES, tmp_path / "s.webp")
    before = (tmp_path / "s.webp").read_bytes()
    with pytest.raises(StoryganError, match=r"cannot write .*s\.webp: "):
        viz.save_story(np.zeros((1, 2100, 1, 8, 3), np.uint8), tmp_path / "s.webp", scale=1)  # at most 16,383 pixels
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("s.webp", before)]


def test_a_picture_takes_bounded_memory(tmp_path: Path) -> None:
    many = np.broadcast_to(FRAMES[:1], (10_000, *FRAMES.shape[1:]))
    for name in ("s.png", "s.gif"):
        with pytest.raises(UsageError, match=r"pixels: lower --scale"):
            viz.save_story(many, tmp_path / name, scale=64)
    with pytest.raises(UsageError, match=r"pixels: lower --scale"):
        viz.sheet([viz.Row("", FRAMES[0])] * 10_000, 64)
    assert list(tmp_path.iterdir()) == []
