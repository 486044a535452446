"""Labelled frames: the classifier that fits them, and augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from storygan.data.clevr.locations import image_coordinates
from storygan.data.dataset import open_split
from storygan.data.toon.render import render_toon
from storygan.errors import UsageError
from storygan.evaluation.labelled_frames import (
    ClassifierTargets,
    LabelledFrames,
    augment,
    degrade,
    find_classifiers,
    shift_and_flip,
)
from storygan.evaluation.train_classifier import check_classifier
from storygan.models.attribute_classifier import SHIPPED


def test_the_shipped_classifiers_that_fit_are_found(tiny_dataset: Path, tmp_path: Path) -> None:
    render_toon(tmp_path, train=1, test=4)
    clevr, toon = (LabelledFrames.from_dataset(open_split(folder, "train")) for folder in (tiny_dataset, tmp_path))
    assert [each.architecture for each in find_classifiers(clevr)] == ["plain", "resnet"]
    assert [each.about["data"] for each in find_classifiers(toon)] == ["toon"]
    with pytest.raises(UsageError, match="classifier-clevr-sv fits neither the locations nor the labels"):
        find_classifiers(toon, [SHIPPED])
    assert [each.about["data"] for each in find_classifiers(None)] == ["clevr-sv"]


@pytest.mark.xfail(strict=True, reason="the shipped classifier of Toon-SV was trained on frames of renderer 2")
def test_the_shipped_classifier_of_toon_sv_is_accurate(tmp_path: Path) -> None:
    render_toon(tmp_path, train=1, test=4)
    metrics = check_classifier(None, tmp_path).metrics
    assert metrics["label_micro_f1_place"] > 0.9
    assert metrics["label_micro_f1_character"] > 0.9


def test_locations_move_with_the_frame() -> None:
    """A dot at a location is still there after both were shifted and flipped."""
    rng = np.random.default_rng(0)
    locations = image_coordinates(rng.uniform(-2, 2, (20, 1, 2)).astype(np.float32))
    x = torch.zeros(20, 1, 64, 64)
    for b, (column, row) in enumerate((locations[:, 0] * 64).astype(int)):
        x[b, 0, row, column] = 1
    moved, move, _ = shift_and_flip(x, rng)
    for b, (column, row) in enumerate((move(locations)[:, 0] * 64).astype(int)):
        assert moved[b, 0, row, column] == 1
    assert not torch.equal(moved, x)


def test_degradation_is_mild() -> None:
    x = torch.rand(32, 3, 64, 64) * 2 - 1
    degraded = degrade(x, np.random.default_rng(0))
    assert degraded.shape == x.shape
    assert 0.01 < (degraded - x).square().mean().sqrt() < 0.4


def test_augmentation_depends_on_its_generator_alone() -> None:
    """A resumed run and each of several processes see the same frames."""
    X, targets = torch.rand(8, 4, 3, 64, 64) * 2 - 1, ClassifierTargets(torch.zeros(32, 15))
    a, b = (augment(X, targets, np.random.default_rng(0))[0] for _ in range(2))
    assert torch.equal(a, b)
