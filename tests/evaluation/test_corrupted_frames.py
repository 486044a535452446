"""Metrics of real frames with known defects: each metric falls as its definition says, the others do not.

A story has 4 frames, so a defect in one frame of every story takes 1/4 of a metric over frames. One missing pair of
(frame, earlier object) takes 1/6 of story consistency.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from storygan.data.clevr.locations import distances, floor_grid, image_coordinates, parse_objects
from storygan.data.dataset import StoryDataset

Measure = Callable[[np.ndarray, list[list[str]]], dict[str, float]]
TOLERANCE = 0.05
"""A metric that should not fall may differ by this: four of 96 pairs, as a pasted object can hide part of another."""


@pytest.fixture(scope="module")
def real(measure: Measure, stories: StoryDataset) -> dict[str, float]:
    """The metrics of the real frames."""
    return measure(frames_of(stories), stories.sentences)


def frames_of(stories: StoryDataset) -> np.ndarray:
    """Return a copy of the real frames (16, 4, 64, 64, 3)."""
    return stories.batch(range(len(stories)))


def object_pixels(frames: np.ndarray, k: int, dilate: bool = True) -> np.ndarray:
    """Return where object k (from 0) changed its frame, dilated by one pixel: (N, H, W) bool."""
    change = np.abs(frames[:, k].astype(int) - frames[:, k - 1]).max(-1) > (12 if dilate else 40)
    reach = (-1, 0, 1) if dilate else (0,)
    return np.any([np.roll(change, (rows, columns), (1, 2)) for rows in reach for columns in reach], 0)


def recolour(frames: np.ndarray, mask: np.ndarray, stories: StoryDataset, k: int, t: int) -> None:
    """Make the pixels (N, H, W) of object k red in frames t, or green if it was red."""
    for n, pixels in enumerate(mask):
        tint = (0.25, 1, 0.25) if "red" in stories.sentences[n][k].split() else (1, 0.25, 0.25)
        frames[n, t][pixels] = (frames[n, t][pixels].max(1, keepdims=True) * np.array(tint)).astype(np.uint8)


def assert_falls(found: dict[str, float], real: dict[str, float], **falls: tuple[float, float]) -> None:
    """Assert that each named metric falls by an amount in its range, and that the other object metrics do not."""
    for name in ("object_accuracy", "story_consistency", "no_false_positives"):
        low, high = falls.get(name, (-TOLERANCE, TOLERANCE))
        assert low <= real[name] - found[name] <= high, f"{name}: {real[name]:.3f} became {found[name]:.3f}"


def test_real_frames_score_high(real: dict[str, float]) -> None:
    for name in ("object_accuracy", "story_consistency", "no_false_positives", "object_recall", "label_micro_f1"):
        assert real[name] > 0.9, (name, real[name])
    assert real["ssim_01_gauss11"] == pytest.approx(1)


def test_swapped_sentences(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 2 is described by object 3, which it lacks; frame 3 by object 2, which frames 2 and 3 show."""
    swapped = [[story[0], story[2], story[1], story[3]] for story in stories.sentences]
    found = measure(frames_of(stories), swapped)
    assert_falls(found, real, object_accuracy=(0.2, 0.28), no_false_positives=(0.12, 0.28))
    assert found["ssim_01_gauss11"] == real["ssim_01_gauss11"]
    assert found["label_exact_match"] == real["label_exact_match"], "labels are of frames, not of sentences"


def test_missing_new_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 3 lacks its new object."""
    frames = frames_of(stories)
    frames[:, 2] = frames[:, 1]
    found = measure(frames, stories.sentences)
    assert_falls(found, real, object_accuracy=(0.2, 0.28))
    assert found["object_recall"] < real["object_recall"] - 0.2
    for name in ("label_exact_match", "label_micro_f1", "ssim_01_gauss11", "psnr_01"):
        assert found[name] < real[name]


def test_missing_earlier_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 4 lacks object 2."""
    frames = frames_of(stories)
    erased = object_pixels(frames, 1) & ~object_pixels(frames, 3)
    frames[:, 3][erased] = frames[:, 0][erased]
    assert_falls(measure(frames, stories.sentences), real, story_consistency=(0.1, 0.22))


def test_moved_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 3 shows its new object far from all locations."""
    frames, before = frames_of(stories), frames_of(stories)
    pixels = object_pixels(frames, 2)
    _, positions = parse_objects(stories.sentences)
    grid = floor_grid()
    grid = grid[np.abs(grid).max(1) < 2.5]
    for n, mask in enumerate(pixels):
        empty = grid[distances(grid, positions[n]).min(1).argmax()]
        columns, rows = ((image_coordinates(empty) - image_coordinates(positions[n, 2])) * 64).round().astype(int)
        y, x = np.nonzero(mask)
        inside = (y + rows >= 0) & (y + rows < 64) & (x + columns >= 0) & (x + columns < 64)
        frames[n, 2] = before[n, 1]
        frames[n, 2, (y + rows)[inside], (x + columns)[inside]] = before[n, 2, y[inside], x[inside]]
    found = measure(frames, stories.sentences)
    assert_falls(found, real, object_accuracy=(0.2, 0.28), no_false_positives=(0.12, 0.28))
    assert found["label_micro_f1"] > real["label_micro_f1"] - 0.1, "the frame still shows it"


def test_recoloured_new_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 3 shows its new object in another colour."""
    frames = frames_of(stories)
    recolour(frames, object_pixels(frames, 2, dilate=False), stories, k=2, t=2)
    found = measure(frames, stories.sentences)
    assert_falls(found, real, object_accuracy=(0.2, 0.28))
    assert found["colour_accuracy"] < real["colour_accuracy"] - 0.2
    for name in ("object_recall", "size_accuracy"):
        assert abs(found[name] - real[name]) < 0.08, name


def test_recoloured_earlier_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 4 shows object 2 in another colour."""
    frames = frames_of(stories)
    mask = object_pixels(frames, 1, dilate=False) & ~object_pixels(frames, 2) & ~object_pixels(frames, 3)
    recolour(frames, mask, stories, k=1, t=3)
    assert_falls(measure(frames, stories.sentences), real, story_consistency=(0.1, 0.22))


def test_extra_object(measure: Measure, stories: StoryDataset, real: dict[str, float]) -> None:
    """Frame 2 shows object 3 already."""
    frames = frames_of(stories)
    frames[:, 1] = frames[:, 2]
    assert_falls(measure(frames, stories.sentences), real, no_false_positives=(0.12, 0.28))
