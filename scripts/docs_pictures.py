"""Draws the pictures of docs/ and the README anew, from what ships: `make pictures`, after a change of the model.

    python scripts/docs_pictures.py [FOLDER]     into docs/pictures, or another folder

They are in git, as WebP. That of the page, page.webp, takes chromium; where there is none the old one stays.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from storygan import StoryGAN, editing
from storygan.data.images import decode_frame
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories
from storygan.data.toon.render import render_toon
from storygan.viz import Row, sheet, strips

FOLDER = Path(__file__).parents[1] / "docs/pictures"
QUALITY = 75  # of WebP
TOON_STORIES = 7
LABELS = 128  # pixels to the left of a sheet's frames, less a margin
PATIENCE = 300_000  # milliseconds: the machine may be busy
STORY = [  # the README's, and that of editing.md
    "small blue metal cylinder at (-1.5, -0.7)",
    "large red rubber cube at (2.2, -2.8)",
    "large yellow metal sphere at (-2.1, 2.4)",
    "small green rubber cube at (0.9, 0.4)",
]

CARTOON = [  # the README's second one
    "Fay the fox stands in the snowy field in the evening.",
    "She finds a kite.",
    "Ben the bear comes along.",
    "She gives it to him.",
    "They both cheer.",
]
FREE = [  # typed without a look at the training set's words, for results/toon-sv.md
    [
        "A panda and a pig are at the beach at midnight.",
        "He dances.",
        "The sun rises.",
        "A unicorn joins them.",
        "They fall asleep.",
    ],
    [
        "A fox stands on a snowy field.",
        "She finds a kite.",
        "A bear comes along.",
        "She hands it over to him.",
        "Night falls.",
    ],
]


def frames_of(story: Story) -> np.ndarray:
    """uint8 (T, 64, 64, 3)."""
    return np.stack([decode_frame(frame) for frame in story.frames])


def save(picture: np.ndarray, path: Path, lossless: bool = False) -> None:
    """uint8 (H, W, 3) -> a small file; for cartoons enlarged, the lossless one is smaller."""
    Image.fromarray(picture).save(path, quality=QUALITY, method=6, lossless=lossless)


def draw_stories(out: Path) -> None:
    """The pictures of the README, the first drawing of each of its stories; and two stories in words of one's own."""
    for name, story, file in (("clevr-sv", STORY, "story.webp"), ("toon-sv", CARTOON, "cartoon.webp")):
        drawing = StoryGAN.from_pretrained(name).generate(story, samples=4, seed=7)[0]
        save(sheet([Row("", drawing, story)])[:, LABELS:], out / file)
    model = StoryGAN.from_pretrained("toon-sv")
    rows = [Row("", model.generate(story, seed=7)[0], story) for story in FREE]
    save(sheet(rows)[:, LABELS:], out / "free.webp")


def draw_edits(model: StoryGAN, out: Path) -> None:
    """The pictures of editing.md."""
    before = editing.draw(model, STORY, seed=7)
    redrawn = editing.redraw(model, before, keep=[1, 3], seed=8)
    save(sheet(editing.before_and_after(before, redrawn)), out / "resampled.webp")
    save(sheet(editing.between(editing.interpolate(model, before, seed=8, steps=5))), out / "interpolated.webp")
    longer = editing.continue_story(model, before, "large cyan rubber sphere at (1.5, 1.5)")
    save(sheet(editing.told(longer)), out / "extended.webp")
    after = editing.change_sentence(model, before, 3, "large purple metal cylinder at (-2.1, 2.4)")
    save(sheet(editing.before_and_after(before, after)), out / "changed.webp")
    grid = editing.gist_grid(model, before)
    rows = editing.influence_rows(editing.influence(model, before), before, grid)
    save(sheet(rows, scale=1), out / "attribution.webp")


def draw_rows(model: StoryGAN, sample: Path, out: Path) -> None:
    """The picture of evaluation.md: one story as each row of its tables."""
    story, other = (list(read_stories(sample, "test"))[k] for k in (0, 1))
    trained = np.stack([frames_of(story) for story in read_stories(sample, "train")])
    mean, real = trained.mean((0, 1)).round().astype(np.uint8), frames_of(story)
    rows = {
        "real frames": real,
        "mean image": np.stack([mean] * len(real)),
        "previous real frame": np.stack([mean, *real[:-1]]),
        "another story's frames": frames_of(other),
        "the model": model.generate(story.sentences, seed=7)[0],
    }
    captions = [story.sentences, *[()] * (len(rows) - 1)]
    save(sheet([Row(*row) for row in zip(rows, rows.values(), captions, strict=True)]), out / "rows.webp")


def draw_data_sets(sample: Path, toon: Path, out: Path) -> None:
    """The pictures of data.md: some stories of each, those of Toon-SV with their sentences."""
    clevr = list(read_stories(sample, "train"))[:3]
    save(strips(np.stack([frames_of(story) for story in clevr]), 2), out / "clevr-sv.webp")
    told = list(read_stories(toon, "train"))
    rows = [Row(f"story {n}", frames_of(story), story.sentences) for n, story in enumerate(told, 1)]
    save(sheet(rows, scale=3), out / "toon-sv.webp", lossless=True)


def photograph_page(out: Path) -> None:
    """The page of `storygan demo`, a story drawn, down to the pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (find_spec("gradio") and find_spec("playwright")):
        print("no chromium: the picture of the page stays as it is")
        return
    from playwright.sync_api import sync_playwright

    from storygan.demo.server import running

    with running(["clevr-sv"], "127.0.0.1", 0) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector("#check .ready")
        page.click("#draw")
        page.wait_for_selector("#keep button:has-text('Story')")  # it has come after the pictures
        page.wait_for_timeout(1000)  # movements end
        page.evaluate("scrollTo(0, 0)")
        box = page.locator("#pictures").bounding_box()
        assert box is not None
        clip = {"x": 0, "y": 0, "width": 1000, "height": box["y"] + box["height"] + 12}
        screenshot = page.screenshot(full_page=True, clip=clip)
        browser.close()
    save(np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB")), out / "page.webp")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    out.mkdir(parents=True, exist_ok=True)
    model = StoryGAN.from_pretrained("clevr-sv")
    draw_stories(out)
    draw_edits(model, out)
    with tempfile.TemporaryDirectory() as folder:
        sample, toon = write_sample(f"{folder}/sample")[0].parent, Path(folder, "toon")
        render_toon(toon, train=TOON_STORIES, workers=1)
        draw_rows(model, sample, out)
        draw_data_sets(sample, toon, out)
    photograph_page(out)


if __name__ == "__main__":
    main()
