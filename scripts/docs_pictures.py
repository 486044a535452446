"""Make the pictures of docs/ and the README from the shipped models and data: `make pictures`.

    python scripts/docs_pictures.py [FOLDER]     into docs/pictures, or another folder

page.webp, a screenshot of the web page, needs chromium; without it the old one stays.
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
from storygan.viz import Row, sheet, story_rows

FOLDER = Path(__file__).parents[1] / "docs/pictures"
QUALITY = 80  # of WebP
TOON_STORIES = 5
CLEVR_ASPECT = 4 / 3
TIMEOUT = 300_000  # milliseconds
STORY = [  # the README's, and that of editing.md
    "small blue metal cylinder at (-1.5, -0.7)",
    "large red rubber cube at (2.2, -2.8)",
    "large yellow metal sphere at (-2.1, 2.4)",
    "small green rubber cube at (0.9, 0.4)",
]

TOON_STORY = [  # the README's second one
    "Fay the fox stands in the snowy field in the evening.",
    "She finds a kite.",
    "Ben the bear comes along.",
    "She gives it to him.",
    "They both cheer.",
]
FREE_TEXT = [  # written without the training set's templates, for results/toon-sv.md
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
    """Decode a story's frames: uint8 (T, 64, 64, 3)."""
    return np.stack([decode_frame(frame) for frame in story.frames])


def save(picture: np.ndarray, path: Path) -> None:
    """Save a picture, uint8 (H, W, 3), as WebP."""
    Image.fromarray(picture).save(path, quality=QUALITY, method=6)


def save_stories(out: Path) -> None:
    """Save the pictures of the README, the first sample of each of its stories; and two stories of free text."""
    for name, story, file in (("clevr-sv", STORY, "story.webp"), ("toon-sv", TOON_STORY, "cartoon.webp")):
        model = StoryGAN.from_pretrained(name)
        frames = model.generate(story, num_samples=4, seed=7).frames[:1]
        save(sheet(story_rows(frames, story), aspect_ratio=model.aspect_ratio), out / file)
    model = StoryGAN.from_pretrained("toon-sv")
    rows = [Row("", model.generate(story, seed=7).frames[0], story) for story in FREE_TEXT]
    save(sheet(rows, aspect_ratio=model.aspect_ratio), out / "free.webp")


def save_edits(model: StoryGAN, out: Path) -> None:
    """Save the pictures of editing.md."""
    before = model.generate(STORY, seed=7)
    resampled = editing.resample(model, before, keep=[1, 3], seed=8)
    after = editing.change_sentence(model, before, 3, "large purple metal cylinder at (-2.1, 2.4)")
    extended = editing.extend(model, before, "large cyan rubber sphere at (1.5, 1.5)")
    attribution, grid = editing.attribute(model, before), editing.gist_grid(model, before)
    for rows, file in (
        (editing.before_after_rows(before, resampled), "resampled.webp"),
        (editing.before_after_rows(before, after), "changed.webp"),
        (extended.rows(), "extended.webp"),
        (editing.interpolation_rows(editing.interpolate(model, before, seed=8, steps=5)), "interpolated.webp"),
        (editing.attribution_rows(attribution, before, grid), "attribution.webp"),
    ):
        save(sheet(rows, scale=2, aspect_ratio=model.aspect_ratio), out / file)


def save_baselines(model: StoryGAN, sample: Path, out: Path) -> None:
    """Save the picture of evaluation.md: one story as the real frames, each trivial baseline and the model."""
    story, other = (list(read_stories(sample, "test"))[k] for k in (0, 1))
    train = np.stack([frames_of(story) for story in read_stories(sample, "train")])
    mean, real = train.mean((0, 1)).round().astype(np.uint8), frames_of(story)
    rows = {
        "real frames": real,
        "mean image": np.stack([mean] * len(real)),
        "previous real frame": np.stack([mean, *real[:-1]]),
        "another story's frames": frames_of(other),
        "the model": model.generate(story.sentences, seed=7).frames[0],
    }
    captions = [*[()] * (len(rows) - 1), story.sentences]
    labelled = [Row(*row) for row in zip(rows, rows.values(), captions, strict=True)]
    save(sheet(labelled, scale=2, aspect_ratio=model.aspect_ratio), out / "rows.webp")


def save_data_sets(sample: Path, toon: Path, out: Path) -> None:
    """Save the pictures of data.md: stories of each data set."""
    for folder, count, aspect_ratio, file in (
        (sample, 3, CLEVR_ASPECT, "clevr-sv.webp"),
        (toon, TOON_STORIES, 1.0, "toon-sv.webp"),
    ):
        stories = list(read_stories(folder, "train"))[:count]
        rows = [Row("", frames_of(story), story.sentences) for story in stories]
        save(sheet(rows, aspect_ratio=aspect_ratio), out / file)


def save_page(out: Path) -> None:
    """Save a screenshot of the page of `storygan demo` with a generated story, down to its frames."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (find_spec("gradio") and find_spec("playwright")):
        print("no chromium: the picture of the page stays as it is")
        return
    from playwright.sync_api import sync_playwright

    from storygan.demo.server import running

    with running(["clevr-sv"], "127.0.0.1", 0) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        page.set_default_timeout(TIMEOUT)
        page.goto(address)
        page.wait_for_selector("#check .ready")
        page.click("#generate")
        page.wait_for_selector("#download button:has-text('Story')")  # the last part of the answer
        page.wait_for_timeout(1000)  # animations end
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
    save_stories(out)
    save_edits(model, out)
    with tempfile.TemporaryDirectory() as folder:
        sample, toon = write_sample(f"{folder}/sample")[0].parent, Path(folder, "toon")
        render_toon(toon, train=TOON_STORIES, workers=1)
        save_baselines(model, sample, out)
        save_data_sets(sample, toon, out)
    save_page(out)


if __name__ == "__main__":
    main()
