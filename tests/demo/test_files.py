"""What a visitor saves."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.demo.conftest import STORY

from storygan.demo.downloads import BOX, PAGE, SCALE, comic_page, keep_newest, write_files

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def test_five_files_of_one_drawing(tmp_path: Path) -> None:
    strip, animation, page, paper, story = write_files(FRAMES, STORY, tmp_path)
    assert story.read_text().splitlines() == list(STORY)
    with Image.open(strip) as picture:
        assert picture.size == (SCALE * (4 * 64 + 3 * 2), SCALE * 64)
    with Image.open(animation) as picture:
        assert picture.n_frames == 4
    with Image.open(page) as picture:
        assert (picture.size, picture.mode) == (PAGE, "RGB")
    assert paper.read_bytes().startswith(b"%PDF-")
    assert sorted(tmp_path.iterdir()) == sorted([strip, animation, page, paper, story])


def test_the_newest_files_are_kept(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"drawing {n}").mkdir()
        for name in ("a", "b"):
            path = tmp_path / f"drawing {n}" / name
            path.write_text(name)
            os.utime(path, (n, n + (name == "b") / 2))
    keep_newest(tmp_path, 3)
    left = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))]
    assert left == ["drawing 3", "drawing 3/b", "drawing 4", "drawing 4/a", "drawing 4/b"]
    keep_newest(tmp_path, 9)
    assert len(list(tmp_path.rglob("*"))) == 5


@pytest.mark.parametrize("T", [1, 2, 4, 5, 6, 9])
def test_a_comic_page_has_each_frame_in_order_above_its_caption(T: int) -> None:
    colours = np.random.default_rng(1).integers(40, 215, (T, 3), dtype=np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (T, 64, 64, 3)).copy()
    page = np.asarray(comic_page(frames, [f"Sentence {t}." for t in range(T)]))
    found = []
    for colour in colours:
        rows, columns = np.nonzero((page == colour).all(-1))
        found.append((rows.min(), columns.min()))
        below = page[rows.max() + 3 : rows.max() + 20, columns.min() + 10]
        assert (below == BOX).all(-1).any()
    assert found == sorted(found)


@pytest.mark.parametrize("sentence", ["x" * 300, "word " * 60, "", "Füchsin café — “quoted”…", "\u202e猫 🐱"])
def test_any_caption_fits_its_box(sentence: str) -> None:
    """Outside the panels the page stays white, and the frames stay as they are."""
    plain, page = (np.asarray(comic_page(FRAMES, [text] * 4)) for text in ("", sentence))
    changed = (plain != page).any(-1)
    assert (plain[changed] == BOX).all()
