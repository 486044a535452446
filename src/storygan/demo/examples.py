"""Stories to start from, by the kind of sentence that a model reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.data.clevr.scene import MAX_OBJECTS, sample_scene
from storygan.data.toon.language import write_story
from storygan.data.toon.world import sample_story
from storygan.demo.floor_plan import in_the_way, things_of
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import format_sentence

TRIES = 4
"""Made-up scenes in which a place is looked for that is still free."""
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
        "Good night": (
            "A mouse called Max looks around at the farm on a rainy day.",
            "A little later, he yawns and falls asleep.",
            "The sunset paints the sky.",
            "A chick comes to see him.",
            "The moon and the stars come out.",
        ),
    },
}


def kind_of(model: StoryGAN) -> str:
    """Which examples a model reads: of its sentence encoder's kind."""
    return model.sentence_encoder.kind if model.sentence_encoder is not None else "sentence"


def example(kind: str, title: str, T: int) -> str:
    """The text of an example, cut to T sentences."""
    return "\n".join(EXAMPLES[kind][title][:T])


def surprise(kind: str, T: int, seed: int) -> str:
    """The text of a story made up from the seed: T objects on the floor, or T sentences about animals."""
    if kind == "clevr":
        return "\n".join(format_sentence(thing) for thing in sample_scene(seed, 0, min(T, MAX_OBJECTS)).objects)
    rng = np.random.default_rng(seed)
    return "\n".join(write_story(sample_story(rng, T), rng))


def one_more(kind: str, story: Sequence[str], seed: int) -> str:
    """A sentence to go on with: an object where the floor is free, or what comes at the end of a day."""
    if kind != "clevr":
        return "The moon and the stars come out."
    things = things_of("\n".join(story), len(story))
    candidates = [thing for n in range(TRIES) for thing in sample_scene(seed, n, MAX_OBJECTS).objects]
    free = [thing for thing in candidates if not in_the_way(thing, things)]
    return format_sentence((free or candidates)[0])
