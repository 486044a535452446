"""What an edit changes: tables over random CLEVR-SV stories, for docs/editing.md. Deterministic.

    python benchmarks/editing.py [--model MODEL] [--stories N] [--seed S]

Each sentence of each story is changed twice: to another colour, and to another object at another place. A change is
the mean absolute difference of pixel values, in levels of 0 to 255; inside is where the old and the new object stand.
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
PLACES = ("before t", "at t, inside", "at t, outside", "after t, inside", "after t, outside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--stories", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2026, help="of the stories")
    arguments = parser.parse_args()
    model = fuse_batch_norm(StoryGAN.from_pretrained(arguments.model))
    changes: dict[str, Numbers] = defaultdict(lambda: defaultdict(list))
    owed: Numbers = defaultdict(list)
    for k in tqdm(range(arguments.stories), desc="stories"):
        story, others = (story_of(arguments.seed, 2 * k + which, model.config.T) for which in (0, 1))
        drawing = editing.generate(model, story, seed=k)
        for t, other in enumerate(others, 1):
            measure_changes(model, drawing, t, other, changes)
        measure_influence(model, drawing, owed)
    print(f"\n{arguments.model}, {arguments.stories} stories of seed {arguments.seed}\n")
    print("| edit of sentence t | " + " | ".join(PLACES) + " |\n|---|" + "---:|" * len(PLACES))
    for edit, numbers in changes.items():
        print(f"| {edit} | " + " | ".join(mean(numbers[place]) for place in PLACES) + " |")
    print("\n| exchanged | mean change of a frame |\n|---|---:|")
    for source, values in owed.items():
        print(f"| {source} | {mean(values)} |")


def story_of(seed: int, number: int, T: int) -> list[str]:
    return [format_sentence(thing) for thing in sample_scene(seed, number, T).objects]


def recoloured(sentence: str) -> str:
    """The same object in the next colour of the grammar."""
    thing = parse_sentence(sentence)
    return format_sentence(replace(thing, colour=COLOURS[(COLOURS.index(thing.colour) + 1) % len(COLOURS)]))


def measure_changes(model: StoryGAN, drawing: StoryOutput, t: int, other: str, changes: dict[str, Numbers]) -> None:
    """Add what the edits of sentence t change."""
    old = drawing.sentences[t - 1]
    for what, new in (("another colour", recoloured(old)), ("another object", other)):
        place = editing.sentence_mask(old, new)
        for context, keep in (("`h_0` kept", True), ("`h_0` drawn again", False)):
            after = editing.change_sentence(model, drawing, t, new, keep_context=keep)
            effect = editing.pixel_change(drawing.frames, after.frames, place)
            numbers = changes[f"{what}, {context}"]
            numbers[PLACES[0]] += effect.overall[: t - 1].tolist()
            for when, frames in (("at t", slice(t - 1, t)), ("after t", slice(t, None))):
                numbers[f"{when}, inside"] += effect.inside[frames].tolist()
                numbers[f"{when}, outside"] += effect.outside[frames].tolist()


def measure_influence(model: StoryGAN, drawing: StoryOutput, owed: Numbers) -> None:
    """Add what the frames owe to what."""
    found = editing.attribute(model, drawing)
    n = len(drawing.sentences)
    sentences = found.amounts[:n]
    owed["the frame's own sentence"] += np.diag(sentences).tolist()
    owed["the sentence before"] += np.diag(sentences, 1).tolist()
    owed["an earlier one"] += sentences[np.triu_indices(n, 2)].tolist()
    for source, amounts in zip(found.sources[n:], found.amounts[n:], strict=True):
        owed[source] += amounts.tolist()


def mean(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" if np.any(values) else "0"


if __name__ == "__main__":
    main()
