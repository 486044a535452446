"""Titles of the shipped models, and example stories by the kind of sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.data.clevr.scene import MAX_OBJECTS, sample_scene
from storygan.data.toon.language import write_story
from storygan.data.toon.world import sample_story
from storygan.demo.floor_plan import overlapping
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import format_sentence, parse_sentence

TRIES = 4
"""Random scenes that are searched for an object at a free location."""
TITLES = {"clevr-sv": "Objects on a floor", "toon-sv": "Cartoon animals"}
EXAMPLES: dict[str, dict[str, tuple[str, ...]]] = {
    "clevr": {
        "Far corners": (
            "large red rubber cube at (-2.2, -0.6)",
            "large green metal cylinder at (2.4, 1.6)",
            "large blue metal sphere at (-1.6, 2.6)",
            "large yellow rubber sphere at (2.2, -1.5)",
            "small purple rubber cube at (0.0, 0.3)",
            "small cyan metal sphere at (0.3, -2.6)",
        ),
        "Marbles": (
            "large yellow metal sphere at (0.2, 2.2)",
            "small red metal sphere at (-1.9, 0.4)",
            "small blue metal sphere at (1.6, 0.5)",
            "large purple metal sphere at (0.4, -1.8)",
            "small green metal sphere at (2.6, -1.9)",
            "small cyan metal sphere at (-2.3, 2.5)",
        ),
        "Building blocks": (
            "large brown rubber cube at (-1.6, 1.8)",
            "large gray rubber cylinder at (1.5, 1.9)",
            "small red rubber cube at (-0.6, -1.2)",
            "small cyan rubber cylinder at (2.0, -0.9)",
            "small yellow rubber cube at (0.4, 0.5)",
            "small blue rubber cube at (1.2, -2.6)",
        ),
    },
    "sentence": {
        "Good night": (
            "A mouse called Max looks around at the farm on a rainy day.",
            "A little later, he yawns and falls asleep.",
            "The sunset paints the sky.",
            "A chick comes to see him.",
            "The moon and the stars come out.",
        ),
        "A shared book": (
            "Penny the pig and a rabbit called Rosie wait on a snowy field in the evening.",
            "Soon they jump for joy.",
            "Penny catches sight of a book.",
            "The pig picks it up.",
            "A panda called Bao comes along.",
        ),
        "The carrot": (
            "On a bright sunny day, a fox has a carrot on the farm.",
            "A frog called Gus shows up.",
            "She shares with him and gives it away.",
            "Then he lets her hold the carrot.",
            "She celebrates.",
        ),
    },
}


def kind_of(model: StoryGAN) -> str:
    """Return the kind of the model's sentence encoder, which is a key of EXAMPLES."""
    return model.sentence_encoder.kind if model.sentence_encoder is not None else "sentence"


def example(kind: str, number: int, T: int) -> str:
    """Return the text of an example, from 0, cut to T sentences."""
    return "\n".join(list(EXAMPLES[kind].values())[number][:T])


def random_story(kind: str, T: int, seed: int) -> str:
    """Return the text of a random story: T objects on the floor, or T sentences about animals."""
    if kind == "clevr":
        return "\n".join(format_sentence(each) for each in sample_scene(seed, 0, min(T, MAX_OBJECTS)).objects)
    rng = np.random.default_rng(seed)
    return "\n".join(write_story(sample_story(rng, T), rng))


def next_sentence(kind: str, story: Sequence[str], seed: int) -> str:
    """Suggest another sentence: an object at a free location, or an ending. The story has canonical sentences."""
    if kind != "clevr":
        return "The moon and the stars come out."
    objects = dict(enumerate(map(parse_sentence, story), 1))
    candidates = [each for n in range(TRIES) for each in sample_scene(seed, n, MAX_OBJECTS).objects]
    free = [each for each in candidates if not overlapping(each, objects)]
    return format_sentence((free or candidates)[0])
