"""What a story's frames must show, judged by the recognizer. Pure functions of what was read; per story.

What the paper claims, each picture fits its sentence and the story holds together, as numbers. Where a docstring names
no source, the definition is this package's own.

All of them are in [0, 1] and better when larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from storygan.evaluation.bootstrap import PerStory, per_story
from storygan.text.clevr import ATTRIBUTES


@dataclass(frozen=True)
class Seen:
    """What the recognizer reads in N stories of T frames. Axis 1 is the frame, axis 2 the object of a sentence."""

    there: np.ndarray
    """(N, T, T) bool: an object is at the place of that sentence."""
    words: np.ndarray
    """(N, T, T, 4): its size, colour, material and shape as they are read, indices into `ATTRIBUTES` in its order."""
    right: np.ndarray
    """(N, T, T, 4) bool: they are those of the sentence."""
    extra: np.ndarray
    """(N, T): at how many places of the floor's grid, far from all objects told so far, there is one."""


def object_accuracy(seen: Seen) -> PerStory:
    """Frames t in which the object that sentence t adds is there with all four attributes right."""
    return per_story(_new(seen.there & seen.right.all(-1)))


def object_there(seen: Seen) -> PerStory:
    """Frames t in which an object, of whatever kind, is at the place of sentence t."""
    return per_story(_new(seen.there))


def attribute_accuracy(seen: Seen) -> dict[str, PerStory]:
    """Object accuracy for one attribute alone: the object is there with its size (colour, ...) right."""
    right = seen.there[..., None] & seen.right
    return {f"{name}_accuracy": per_story(_new(right[..., k])) for k, name in enumerate(ATTRIBUTES)}


def story_consistency(seen: Seen) -> PerStory:
    """Pairs (frame t, earlier sentence j < t) for which object j is still there in frame t with all four attributes."""
    T = seen.there.shape[1]
    later = np.tril_indices(T, -1)
    return per_story((seen.there & seen.right.all(-1))[:, later[0], later[1]])


def nothing_extra(seen: Seen) -> PerStory:
    """Frames that show no object where none was told: see `Seen.extra`."""
    return per_story(seen.extra == 0)


def label_exact_match(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """Frames whose K labels are all right: found and labels (N, T, K) bool.

    StoryGAN (Li et al., CVPR 2019), section 4.2, calls it character accuracy on Pororo-SV.
    """
    return per_story((found == labels).all(-1))


def label_micro_f1(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """2 TP / (2 TP + FP + FN) over all frames and labels (Manning et al., Introduction to IR, 2008, section 13.6)."""
    hits = (found & labels).sum((1, 2))
    return PerStory(2.0 * hits, (found.sum((1, 2)) + labels.sum((1, 2))).astype(float))


def label_kept(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """Stories whose K labels are all right in every frame: of the labels for places, those that stay where they are."""
    return per_story((found == labels).all((1, 2)))


def _new(values: np.ndarray) -> np.ndarray:
    """(N, T, T) -> (N, T): frame t, object t."""
    return np.diagonal(values, axis1=1, axis2=2)
