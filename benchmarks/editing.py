"""Measure the pixel changes of edits on random CLEVR-SV stories, for docs/editing.md. Deterministic.

    python benchmarks/editing.py [--model MODEL] [--stories N] [--seed S]

Each sentence of each story is changed twice: to another colour, and to another object at another location. A change is
the mean absolute difference of pixel values, in levels of 0 to 255. Inside: the pixels of the old and the new object.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from storygan import StoryGAN, editing
from storygan.data.clevr.scene import sample_scene
from storygan.editing import StoryOutput
from storygan.models.accelerate import fuse_batch_norm
from storygan.text.clevr import COLOURS, format_sentence, parse_sentence

Numbers = dict[str, list[float]]
REGIONS = ("before t", "at t, inside", "at t, outside", "after t, inside", "after t, outside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--stories", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2026, help="of the stories")
    arguments = parser.parse_args()
    model = fuse_batch_norm(StoryGAN.from_pretrained(arguments.model))
    changes: dict[str, Numbers] = defaultdict(lambda: defaultdict(list))
    attributions: Numbers = defaultdict(list)
    for k in tqdm(range(arguments.stories), desc="stories"):
        story, others = (story_of(arguments.seed, 2 * k + which, model.config.T) for which in (0, 1))
        output = model.generate(story, seed=k)
        for t, other in enumerate(others, 1):
            measure_changes(model, output, t, other, changes)
        measure_attribution(model, output, attributions)
    print(f"\n{arguments.model}, {arguments.stories} stories of seed {arguments.seed}\n")
    print("| edit of sentence t | " + " | ".join(REGIONS) + " |\n|---|" + "---:|" * len(REGIONS))
    for edit, numbers in changes.items():
        print(f"| {edit} | " + " | ".join(mean(numbers[region]) for region in REGIONS) + " |")
    print("\n| exchanged | mean change of a frame |\n|---|---:|")
    for source, values in attributions.items():
        print(f"| {source} | {mean(values)} |")


def story_of(seed: int, number: int, T: int) -> list[str]:
    return [format_sentence(thing) for thing in sample_scene(seed, number, T).objects]


def recoloured(sentence: str) -> str:
    """Return the sentence of the same object in the next colour of the grammar."""
    thing = parse_sentence(sentence)
    return format_sentence(replace(thing, colour=COLOURS[(COLOURS.index(thing.colour) + 1) % len(COLOURS)]))


def measure_changes(model: StoryGAN, output: StoryOutput, t: int, other: str, changes: dict[str, Numbers]) -> None:
    """Append the pixel changes of the edits of sentence t."""
    old = output.sentences[t - 1]
    for what, new in (("another colour", recoloured(old)), ("another object", other)):
        mask = editing.sentence_mask(old, new)
        for context, keep in (("`h_0` kept", True), ("`h_0` resampled", False)):
            after = editing.change_sentence(model, output, t, new, keep_context=keep)
            effect = editing.pixel_change(output.frames, after.frames, mask)
            numbers = changes[f"{what}, {context}"]
            numbers[REGIONS[0]] += effect.overall[: t - 1].tolist()
            for when, frames in (("at t", slice(t - 1, t)), ("after t", slice(t, None))):
                numbers[f"{when}, inside"] += effect.inside[frames].tolist()
                numbers[f"{when}, outside"] += effect.outside[frames].tolist()


def measure_attribution(model: StoryGAN, output: StoryOutput, attributions: Numbers) -> None:
    """Append the attributions of a story's frames."""
    found = editing.attribute(model, output)
    n = len(output.sentences)
    sentences = found.amounts[:n]
    attributions["the frame's own sentence"] += np.diag(sentences).tolist()
    attributions["the sentence before"] += np.diag(sentences, 1).tolist()
    attributions["an earlier one"] += sentences[np.triu_indices(n, 2)].tolist()
    for source, amounts in zip(found.sources[n:], found.amounts[n:], strict=True):
        attributions[source] += amounts.tolist()


def mean(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" if np.any(values) else "0"


if __name__ == "__main__":
    main()
