"""Draws the pictures of docs/ from what ships: python scripts/docs_pictures.py FOLDER. Part of `make docs`.

The page's own picture, page.png, takes chromium; where there is none the documentation does without it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from storygan import StoryGAN, editing
from storygan.data.images import decode_frame
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories
from storygan.data.toon.render import make_story
from storygan.viz import Row, save_image, save_sheet, strips

PATIENCE = 300_000  # milliseconds: the machine may be busy
STORY = [
    "small blue metal cylinder at (-1.5, -0.7)",
    "large red rubber cube at (2.2, -2.8)",
    "large yellow metal sphere at (-2.1, 2.4)",
    "small green rubber cube at (0.9, 0.4)",
]


def frames_of(story: Story) -> np.ndarray:
    """uint8 (T, 64, 64, 3)."""
    return np.stack([decode_frame(frame) for frame in story.frames])


def draw_edits(model: StoryGAN, out: Path) -> None:
    """The pictures of editing.md."""
    before = editing.draw(model, STORY, seed=7)
    redrawn = editing.redraw(model, before, keep=[1, 3], seed=8)
    save_sheet(editing.before_and_after(before, redrawn), out / "redrawn.png")
    save_sheet(editing.between(editing.interpolate(model, before, seed=8, steps=5)), out / "way.png")
    longer = editing.continue_story(model, before, "large cyan rubber sphere at (1.5, 1.5)")
    save_sheet(editing.told(longer), out / "longer.png")
    after = editing.change_sentence(model, before, 3, "large purple metal cylinder at (-2.1, 2.4)")
    save_sheet(editing.before_and_after(before, after), out / "changed.png")
    grid = editing.gist_grid(model, before)
    save_sheet(editing.influence_rows(editing.influence(model, before), before, grid), out / "influence.png", scale=1)


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
    save_sheet([Row(*row) for row in zip(rows, rows.values(), captions, strict=True)], out / "rows.png")


def photograph_page(out: Path) -> None:
    """The page of `storygan demo`, a story drawn, down to the pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (find_spec("gradio") and find_spec("playwright")):
        print("no chromium: no picture of the page")
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
        page.screenshot(path=out / "page.png", full_page=True, clip=clip)
        browser.close()


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    model = StoryGAN.from_pretrained("clevr-sv")
    save_image(strips(model.generate(STORY, samples=3, seed=7), 2), out / "drawn.png")
    draw_edits(model, out)
    with tempfile.TemporaryDirectory() as folder:
        sample = write_sample(f"{folder}/sample")[0].parent
        stories = list(read_stories(sample, "train"))[:3]
        draw_rows(model, sample, out)
    save_image(strips(np.stack([frames_of(story) for story in stories]), 2), out / "clevr-sv.png")
    toon = [frames_of(make_story("train", number)) for number in (3, 5)]
    save_image(strips(np.stack(toon), 2), out / "toon-sv.png")
    photograph_page(out)


if __name__ == "__main__":
    main()
