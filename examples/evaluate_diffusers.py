"""Generate the stories of a data set with a pipeline of diffusers, for `storygan evaluate --frames`.

    storygan data prompts data/clevr --out prompts.jsonl
    python examples/evaluate_diffusers.py prompts.jsonl frames --model OWNER/TEXT-TO-IMAGE-MODEL
    storygan evaluate --data data/clevr --frames diffusers=frames

Needs `pip install diffusers transformers`. Any callable with the same arguments works: see `generate`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def generate(pipeline: Callable[..., Any], prompts: Path, out: Path, stories: int = 0, seed: int = 0) -> None:
    """Write OUT/STORY_ID/1.png to T.png for each story that is not there yet.

    Args:
        pipeline: called with a prompt and `generator`; returns an object with `images`, the first a PIL image.
        prompts: the file of `storygan data prompts`.
        out: folder of the frames.
        stories: how many, the first ones; 0: all.
        seed: of the noise. A story has one noise for all its frames, which makes them more alike.
    """
    lines = [json.loads(line) for line in prompts.read_text().splitlines()]
    for story in lines[: stories or None]:
        folder = out / story["id"]
        if folder.exists():
            continue
        partial = folder.with_name(f".{folder.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        cumulative = story["english"] != story["sentences"]  # CLEVR-SV: frame t shows the objects of sentences 1 to t
        for t, sentence in enumerate(story["english"], 1):
            prompt = ", ".join(story["english"][:t]) if cumulative else sentence
            image = pipeline(prompt, generator=torch.Generator().manual_seed(seed)).images[0]
            image.save(partial / f"{t}.png")
        partial.rename(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True, help="hub id or folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--stories", type=int, default=0, help="the first ones; 0: all")
    args = parser.parse_args()

    from diffusers import DiffusionPipeline

    generate(DiffusionPipeline.from_pretrained(args.model).to(args.device), args.prompts, args.out, args.stories)
