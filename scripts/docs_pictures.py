"""Draws the pictures of docs/ from what ships: python scripts/docs_pictures.py FOLDER. Part of `make docs`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from storygan import StoryGAN, editing
from storygan.data.images import decode_frame
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_stories
from storygan.data.toon.render import make_story
from storygan.viz import save_image, save_sheet, strips

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
    after = editing.change_sentence(model, before, 3, "large purple metal cylinder at (-2.1, 2.4)")
    save_sheet(editing.before_and_after(before, after), out / "changed.png")
    grid = editing.gist_grid(model, before)
    save_sheet(editing.influence_rows(editing.influence(model, before), before, grid), out / "influence.png", scale=1)


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    model = StoryGAN.from_pretrained("clevr-sv")
    save_image(strips(model.generate(STORY, samples=3, seed=7), 2), out / "drawn.png")
    draw_edits(model, out)
    with tempfile.TemporaryDirectory() as folder:
        stories = list(read_stories(write_sample(f"{folder}/sample")[0].parent, "train"))[:3]
    save_image(strips(np.stack([frames_of(story) for story in stories]), 2), out / "clevr-sv.png")
    toon = [frames_of(make_story("train", number)) for number in (3, 5)]
    save_image(strips(np.stack(toon), 2), out / "toon-sv.png")


if __name__ == "__main__":
    main()
