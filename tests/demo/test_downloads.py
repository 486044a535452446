"""The files that a visitor downloads."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.demo.conftest import STORY

from storygan.demo.downloads import BOX, PAGE, SCALE, comic_page, delete_oldest, write_files
from storygan.models.storygan import StoryGAN

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def test_the_five_files_of_a_sample(model: StoryGAN, tmp_path: Path) -> None:
    output = replace(model.generate(STORY), aspect_ratio=4 / 3)
    strip, animation, page, pdf, story = write_files(output, tmp_path)
    assert story.read_text().splitlines() == list(STORY)
    with Image.open(strip) as picture:
        assert picture.width == 4 * round(SCALE * 64 * 4 / 3) + 5 * SCALE * 2
        assert picture.height > SCALE * (64 + 4)  # captions
    with Image.open(animation) as picture:
        assert picture.n_frames == 4
    with Image.open(page) as picture:
        assert (picture.size, picture.mode) == (PAGE, "RGB")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(tmp_path.iterdir()) == sorted([strip, animation, page, pdf, story])


def test_delete_oldest_keeps_the_newest_files(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"sample {n}").mkdir()
        for name in ("a", "b"):
            path = tmp_path / f"sample {n}" / name
            path.write_text(name)
            os.utime(path, (n, n + (name == "b") / 2))
    delete_oldest(tmp_path, 3)
    left = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))]
    assert left == ["sample 3", "sample 3/b", "sample 4", "sample 4/a", "sample 4/b"]
    delete_oldest(tmp_path, 9)
    assert len(list(tmp_path.rglob("*"))) == 5


@pytest.mark.parametrize("aspect_ratio", [1.0, 4 / 3])
@pytest.mark.parametrize("T", [1, 2, 4, 5, 6, 9])
def test_a_comic_page_has_each_frame_in_order_above_its_caption(T: int, aspect_ratio: float) -> None:
    colours = np.random.default_rng(1).integers(40, 215, (T, 3), dtype=np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (T, 64, 64, 3)).copy()
    page = np.asarray(comic_page(frames, [f"Sentence {t}." for t in range(T)], aspect_ratio))
    found = []
    for colour in colours:
        rows, columns = np.nonzero((page == colour).all(-1))
        found.append((rows.min(), columns.min()))
        assert np.ptp(columns) / np.ptp(rows) == pytest.approx(aspect_ratio, rel=0.02)
        below = page[rows.max() + 3 : rows.max() + 20, columns.min() + 10]
        assert (below == BOX).all(-1).any()
    assert found == sorted(found)


@pytest.mark.parametrize("sentence", ["x" * 300, "word " * 60, "", "Füchsin café — “quoted”…", "\u202e猫 🐱"])
def test_any_caption_fits_its_box(sentence: str) -> None:
    """Only pixels of the caption boxes change."""
    plain, page = (np.asarray(comic_page(FRAMES, [text] * 4)) for text in ("", sentence))
    changed = (plain != page).any(-1)
    assert (plain[changed] == BOX).all()
