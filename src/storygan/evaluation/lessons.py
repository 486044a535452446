"""What is true of a data set's frames: what the recognizer learns from, and what frames are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storygan.data.clevr.places import told_objects
from storygan.data.dataset import StoryDataset
from storygan.models.folding import fold
from storygan.models.recognizer import SHIPPED, Recognizer
from storygan.text.clevr import LABELS, parse_sentence, presence_labels
from storygan.types import UsageError


@dataclass(frozen=True)
class Lessons:
    """N stories of T frames, and what is true of them."""

    frames: np.ndarray
    """(N, T, H, W, 3) uint8."""
    words: np.ndarray | None
    """(N, T, 4), see `told_objects`; None where the sentences are not CLEVR-SV's."""
    floor: np.ndarray | None
    """(N, T, 2), likewise."""
    labels: np.ndarray
    """(N, T, K) of 0 and 1: the data set's, or the 15 presence labels that CLEVR-SV sentences imply."""
    label_names: tuple[str, ...]

    def read_by(self, recognizer: Recognizer) -> tuple[bool, bool]:
        """Whether a recognizer knows what is at places of these frames, and whether it knows their labels."""
        return self.words is not None and recognizer.knows_places, self.label_names == recognizer.labels


def lessons(dataset: StoryDataset) -> Lessons:
    """Read a data set. Raises UsageError where it has neither CLEVR-SV sentences nor labels."""
    words = floor = None
    labels, names = dataset.labels, dataset.label_names
    try:
        words, floor = told_objects(dataset.sentences)
    except UsageError as error:
        if labels is None:
            raise UsageError(f"nothing to recognize: the stories have no labels, and {error}") from error
    if labels is None or names is None:
        told = [[parse_sentence(sentence) for sentence in story] for story in dataset.sentences]
        labels, names = np.array([presence_labels(story) for story in told]), LABELS
    return Lessons(dataset.frames, words, floor, labels, names)


def lessons_if_any(dataset: StoryDataset) -> Lessons | None:
    """Read a data set; None where it has neither CLEVR-SV sentences nor labels: then pixels and features remain."""
    try:
        return lessons(dataset)
    except UsageError:
        return None


def find_judge(known: Lessons | None, folder: str | Path | None = None) -> Recognizer:
    """The recognizer in `folder`, or the first shipped one that knows these stories; else the first, CLEVR-SV's.
    Folded: it looks at frames, and does not learn.

    Raises:
        UsageError: the one in the folder knows nothing of these stories.
        StoryganError: the folder holds none, or a torn one.
    """
    if folder:
        judge = Recognizer.load(folder)
        if known is None or not any(known.read_by(judge)):
            raise UsageError(f"{folder} is a recognizer of neither the places nor the labels of these stories")
        return fold(judge)
    if known is None:
        return fold(Recognizer.load(SHIPPED))
    shipped = [Recognizer.load(folder) for folder in sorted(SHIPPED.parent.glob("recognizer-*"))]
    return fold(next((recognizer for recognizer in shipped if any(known.read_by(recognizer))), shipped[0]))
