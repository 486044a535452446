"""Make the pictures of docs/ and the README from the shipped models and data: `make pictures`.

    python scripts/docs_pictures.py [FOLDER]     into docs/pictures, or another folder

Also the web page's model cards, in src/storygan/demo/page. Screenshots of the page (page*.webp) need
chromium; without it the old ones stay.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from storygan import StoryGAN, editing
from storygan.data.images import decode_frame
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories
from storygan.data.toon.render import render_toon
from storygan.demo.examples import EXAMPLES
from storygan.viz import Row, enlarge, sheet, story_rows

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/pictures"
CARDS = ROOT / "src/storygan/demo/page"
QUALITY = 80  # of WebP
TOON_STORIES = 3
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
        save(sheet(story_rows(frames, story), scale=3, aspect_ratio=model.aspect_ratio), out / file)
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


def save_own_stories(folder: Path, out: Path) -> None:
    """Save the picture of own-stories.md: a story of its example."""
    subprocess.run([sys.executable, ROOT / "examples/own_stories.py", folder], check=True)
    frames = [np.asarray(Image.open(folder / f"02-{t}.jpg").reduce(2)) for t in range(1, 6)]
    save(np.concatenate(frames, axis=1), out / "own-stories.webp")


def save_cards(out: Path) -> None:
    """Save the pictures of the web page's model cards: frames of its examples, cut to 4:3."""
    for name, kind, title, t in (("clevr-sv", "clevr", "Far corners", 4), ("toon-sv", "sentence", "The carrot", 1)):
        model = StoryGAN.from_pretrained(name)
        story = EXAMPLES[kind][title][: model.config.T]
        picture = enlarge(model.generate(story, seed=7).frames[0, t - 1], 2, model.aspect_ratio)
        top = (len(picture) - round(picture.shape[1] * 3 / 4)) // 2
        save(picture[top : len(picture) - top], out / f"{name}.webp")


def save_page(out: Path) -> None:
    """Save screenshots of the page of `storygan demo`: on arrival, an edit, the other model, on a phone."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not (find_spec("gradio") and find_spec("playwright")):
        print("no chromium: the pictures of the page stay as they are")
        return
    from playwright.sync_api import sync_playwright

    from storygan.demo.server import running

    def change(page: Any) -> None:
        page.click("[data-frame='1']")
        page.fill("#sentence textarea", "a big shiny purple ball on the right")
        page.click("#change")
        page.wait_for_selector("#result p")
        page.wait_for_selector("#slider img")

    def cartoon(page: Any) -> None:
        page.click("#model label:nth-of-type(2)")
        page.wait_for_selector("[data-frame='5']")

    with running([], "127.0.0.1", 0) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, width, height, act in (
            ("page", 1280, 900, None),
            ("page-edit", 1280, 900, change),
            ("page-cartoon", 1280, 900, cartoon),
            ("page-phone", 390, 844, None),
        ):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(TIMEOUT)
            page.goto(address)
            page.wait_for_selector("#pictures .strip")
            if act:
                act(page)
            page.mouse.move(0, 0)
            page.wait_for_timeout(1500)  # animations end
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            save(np.asarray(picture), out / f"{name}.webp")
            page.close()
        browser.close()
    save_animation(out)


def save_animation(out: Path) -> None:
    """Save the README's animation of the page, demo.webp, from its screenshots."""
    names = ("page", "page-edit", "page-cartoon")
    shots = [Image.open(out / f"{name}.webp").resize((960, 675), Image.Resampling.LANCZOS) for name in names]
    shots[0].save(out / "demo.webp", save_all=True, append_images=shots[1:], duration=2500, quality=QUALITY, method=6)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    out.mkdir(parents=True, exist_ok=True)
    model = StoryGAN.from_pretrained("clevr-sv")
    save_stories(out)
    save_edits(model, out)
    with tempfile.TemporaryDirectory() as folder:
        sample, toon = write_sample(f"{folder}/sample")[0].parent, Path(folder, "toon")
        render_toon(toon, train=TOON_STORIES)
        save_baselines(model, sample, out)
        save_data_sets(sample, toon, out)
        save_own_stories(Path(folder, "own"), out)
    save_cards(CARDS if out == FOLDER else out)
    save_page(out)


if __name__ == "__main__":
    main()
