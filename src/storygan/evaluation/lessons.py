"""What is true of a data set's frames: what the recognizer learns from, and what frames are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storygan.data.clevr.places import read_stories
from storygan.data.dataset import StoryDataset
from storygan.text.clevr import LABELS, parse_sentence, presence_labels
from storygan.types import UsageError


@dataclass(frozen=True)
class Lessons:
    """N stories of T frames, and what is true of them."""

    frames: np.ndarray
    """(N, T, H, W, 3) uint8."""
    words: np.ndarray | None
    """(N, T, 4), see `read_stories`; None where the sentences are not CLEVR-SV's."""
    floor: np.ndarray | None
    """(N, T, 2), likewise."""
    labels: np.ndarray
    """(N, T, K) of 0 and 1: the data set's, or the 15 presence labels that CLEVR-SV sentences imply."""
    label_names: tuple[str, ...]


def lessons(dataset: StoryDataset) -> Lessons:
    """Read a data set. Raises UsageError where it has neither CLEVR-SV sentences nor labels."""
    words = floor = None
    labels, names = dataset.labels, dataset.label_names
    try:
        words, floor = read_stories(dataset.sentences)
    except UsageError as error:
        if labels is None:
            raise UsageError(f"nothing to recognize: the stories have no labels, and {error}") from error
    if labels is None or names is None:
        told = [[parse_sentence(sentence) for sentence in story] for story in dataset.sentences]
        labels, names = np.array([presence_labels(story) for story in told]), LABELS
    return Lessons(dataset.frames, words, floor, labels, names)
