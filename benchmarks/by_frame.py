"""Print object accuracy by frame: python benchmarks/by_frame.py --data DATA [--model M] [--stories N].

Rows are frames, columns are objects in sentence order. Each value is the share of stories in which the shipped
classifier finds the object in that frame with all four attributes correct. One sample per story, seed 0.
"""

from __future__ import annotations

import argparse

import numpy as np

from storygan.data.dataset import open_split
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.predictions import predict
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import StoryGAN


def accuracy_by_frame(model: StoryGAN, stories: list[list[str]]) -> np.ndarray:
    """Return the share of stories in which object n is correct in frame t: (T, T), frames first."""
    frames = fuse_batch_norm(model).generate_dataset(stories, seed=0)
    N, T = frames.shape[:2]
    pool = FramePool(frames.reshape(N * T, *frames.shape[2:]), {"model": np.arange(N * T).reshape(N, T)})
    predictions = predict(AttributeClassifier.load(), pool, stories).objects["model"]
    return predictions.accurate.mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of CLEVR-SV stories")
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--stories", type=int, default=150)
    arguments = parser.parse_args()
    stories = open_split(arguments.data, arguments.split).sentences[: arguments.stories]
    for t, row in enumerate(accuracy_by_frame(StoryGAN.from_pretrained(arguments.model), stories), 1):
        print(f"frame {t}:", *(f"{share:.2f}" for share in row[:t]))


if __name__ == "__main__":
    main()
