"""KID and FID: those of torchmetrics where they are the same thing, and what is ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from storygan.evaluation.distances import fid, kid


class Given(torch.nn.Module):
    """Features that are there already."""

    num_features = 8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of 60 stories of one frame, of 8 features."""
    rng = np.random.default_rng(0)
    return tuple(rng.normal(mean, 1, (60, 1, 8)).astype(np.float32) for mean in (0.0, 0.5))  # type: ignore[return-value]


def test_fid_is_torchmetrics(features: tuple[np.ndarray, np.ndarray]) -> None:
    metric = FrechetInceptionDistance(feature=Given())
    for x, real in zip(features, (False, True), strict=True):
        metric.update(torch.from_numpy(x[:, 0]), real=real)
    assert fid(*features, seed=0).mean == pytest.approx(metric.compute().item(), rel=1e-4)


def test_kid_of_single_frames_is_torchmetrics(features: tuple[np.ndarray, np.ndarray]) -> None:
    expected = poly_mmd(*(torch.from_numpy(x[:, 0]) for x in features))
    assert kid(*features, seed=0).mean == pytest.approx(expected.item(), rel=1e-4)


def test_kid_of_one_distribution_is_zero_within_its_interval_though_frames_of_a_story_are_alike() -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.normal(0, 1, (80, 1, 8)) + rng.normal(0, 0.1, (80, 4, 8)) for _ in range(2))
    value = kid(x, y, seed=0)
    assert value.low < 0 < value.high


@pytest.mark.parametrize("distance", [kid, fid])
def test_distances_grow_and_lie_in_their_intervals(distance: object) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (50, 2, 8)).astype(np.float32)
    near, far = (distance(x + shift, x, seed=0) for shift in (0.3, 1.0))  # type: ignore[operator]
    assert near.mean < far.mean
    assert near.low < near.mean < near.high < far.low


def test_the_interval_of_fid_is_as_wide_as_fid_varies() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 1, (500, 1, 4))
    found = [fid(rng.normal(0.3, 1.2, (200, 1, 4)), y, seed=0) for _ in range(60)]
    spread = np.std([value.mean for value in found])
    width = np.mean([value.high - value.low for value in found])
    assert width / (2 * 1.96) == pytest.approx(spread, rel=0.35)


def test_frames_that_are_all_the_same_have_distances_too() -> None:
    y = np.random.default_rng(4).normal(0, 1, (30, 2, 4))
    same = np.zeros((30, 2, 4))
    expected = (y.mean((0, 1)) ** 2).sum() + np.cov(y.reshape(-1, 4).T).trace()
    value = fid(same, y, seed=0)
    assert (value.low, value.mean, value.high) == pytest.approx((expected,) * 3)
    assert kid(same, y, seed=0).mean > 0
