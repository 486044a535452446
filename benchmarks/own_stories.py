"""Fine-tune on fewer and more stories of one's own, for shorter and longer: python benchmarks/own_stories.py OUT.

The stories are those of examples/own_stories.py, the recipe configs/own-stories.yaml. A row of the table is a training.
No training story has the characters, the place and the thing of a test story. OUT/N-ITERATIONS.png has the test
stories, generated frames below the real ones.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from storygan import StoryGAN, train
from storygan.config import TrainConfig
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.importers.own_stories import import_own_stories
from storygan.viz import Row, save_sheet

ROOT = Path(__file__).parents[1]
STAGE = "fine-tuning"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--stories", type=int, nargs="+", default=[4, 8, 16], help="training stories, at most 16")
    parser.add_argument("--iterations", type=int, nargs="+", default=[200, 800, 2400])
    arguments = parser.parse_args()
    arguments.out.mkdir()
    pictures = arguments.out / "pictures"
    subprocess.run([sys.executable, ROOT / "examples/own_stories.py", pictures], check=True)
    rows = list(csv.reader((pictures / "stories.csv").open()))
    print("| stories | iterations | minutes | PSNR, training stories | PSNR, test stories |\n|---|---|---|---|---|")
    for stories in arguments.stories:
        data = arguments.out / f"data-{stories}"
        with (pictures / "stories.csv").open("w", newline="") as file:
            kept = [row for row in rows[1:] if row[-1] == "test" or int(row[0].split()[1]) < stories]
            csv.writer(file).writerows([rows[0], *kept])
        import_own_stories(pictures, data)
        for iterations in arguments.iterations:
            start = time.monotonic()
            model = StoryGAN.from_pretrained(fine_tune(data, arguments.out / f"run-{stories}-{iterations}", iterations))
            minutes = (time.monotonic() - start) / 60
            seen, unseen = open_split(data, "train"), open_split(data, "test")
            values = " | ".join(f"{psnr(model, part):.1f}" for part in (seen, unseen))
            print(f"| {stories} | {iterations} | {minutes:.1f} | {values} |", flush=True)
            save(model, unseen, arguments.out / f"{stories}-{iterations}.png")


def fine_tune(data: Path, run: Path, iterations: int) -> Path:
    """Train the recipe, and return the model folder."""
    fields = yaml.safe_load((ROOT / "configs/own-stories.yaml").read_text())
    fields |= {"run": str(run), "data": {"path": str(data)}, "sample_every": iterations}
    fields["stages"][STAGE]["iterations"] = iterations
    model = train(TrainConfig.from_dict(fields))
    assert model
    return model


def psnr(model: StoryGAN, stories: StoryDataset) -> float:
    """Return the mean over frames, in dB."""
    errors = (model.generate_dataset(stories.sentences) / 255.0 - stories.frames / 255.0) ** 2
    return float((-10 * np.log10(errors.mean((2, 3, 4)))).mean())


def save(model: StoryGAN, stories: StoryDataset, path: Path) -> None:
    """Save real and generated frames of the stories."""
    generated = model.generate_dataset(stories.sentences)
    pairs = zip(stories.frames, generated, stories.sentences, strict=True)
    rows = [row for real, fake, text in pairs for row in (Row("real", real, text), Row("generated", fake, ()))]
    save_sheet(rows, path)


if __name__ == "__main__":
    main()
