"""KID and FID against torchmetrics, their intervals, and the features that they are computed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from storygan.evaluation import distances as module
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.distances import (
    distances,
    extract_features,
    feature_extractors,
    fid,
    inception_weights,
    kid,
    story_distances,
    story_projection,
)


class Identity(torch.nn.Module):
    """Features that are passed through."""

    num_features = 8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of 60 stories of one frame, of 8 features."""
    rng = np.random.default_rng(0)
    return tuple(rng.normal(mean, 1, (60, 1, 8)).astype(np.float32) for mean in (0.0, 0.5))  # type: ignore[return-value]


def test_fid_equals_that_of_torchmetrics(features: tuple[np.ndarray, np.ndarray]) -> None:
    metric = FrechetInceptionDistance(feature=Identity())
    for x, real in zip(features, (False, True), strict=True):
        metric.update(torch.from_numpy(x[:, 0]), real=real)
    assert fid(*features, seed=0).mean == pytest.approx(metric.compute().item(), rel=1e-4)


def test_kid_of_single_frames_equals_that_of_torchmetrics(features: tuple[np.ndarray, np.ndarray]) -> None:
    expected = poly_mmd(*(torch.from_numpy(x[:, 0]) for x in features))
    assert kid(*features, seed=0).mean == pytest.approx(expected.item(), rel=1e-4)


def test_kid_of_one_distribution_is_zero_within_its_interval_despite_similar_frames_of_a_story() -> None:
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


def test_interval_of_fid_is_as_wide_as_fid_varies() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 1, (500, 1, 4))
    found = [fid(rng.normal(0.3, 1.2, (200, 1, 4)), y, seed=0) for _ in range(60)]
    spread = np.std([value.mean for value in found])
    width = np.mean([value.high - value.low for value in found])
    assert width / (2 * 1.96) == pytest.approx(spread, rel=0.35)


def test_distances_of_constant_frames() -> None:
    y = np.random.default_rng(4).normal(0, 1, (30, 2, 4))
    same = np.zeros((30, 2, 4))
    expected = (y.mean((0, 1)) ** 2).sum() + np.cov(y.reshape(-1, 4).T).trace()
    value = fid(same, y, seed=0)
    assert (value.low, value.mean, value.high) == pytest.approx((expected,) * 3)
    assert kid(same, y, seed=0).mean > 0


def test_second_half_is_compared_with_real_frames_of_the_first_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the classifier's features and on those of each installed network."""
    monkeypatch.setattr(module, "feature_extractors", lambda: {"mean": lambda _: lambda x: x.mean((2, 3))})
    rng, N = np.random.default_rng(5), 40
    frames = rng.integers(0, 256, (2 * N, 4, 4, 3), dtype=np.uint8)
    features = rng.normal(0, 1, (2 * N, 5)).astype(np.float32)
    index = {"real_frames": np.arange(N)[:, None], "model": np.arange(N, 2 * N)[:, None]}
    values = distances(FramePool(frames, index), features, seed=0)
    means = frames.astype(np.float32).mean((1, 2))
    for name, f in {"attribute_classifier": features, "mean": means}.items():
        for method, start in {"real_frames": N // 2, "model": N + N // 2}.items():
            expected = fid(f[start : start + N // 2, None], f[: N // 2, None], seed=0)
            assert values[method][f"fid_{name}"].mean == pytest.approx(expected.mean, rel=1e-4)
            assert f"kid_{name}" in values[method]
    few = {method: idx[:18] for method, idx in index.items()}
    assert distances(FramePool(frames, few), features, seed=0) == {"real_frames": {}, "model": {}}


def test_inception_is_used_if_its_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: name == "torch_fidelity")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert feature_extractors() == {}
    inception_weights().parent.mkdir(parents=True)
    inception_weights().touch()
    assert feature_extractors() == {"inception": module.inception}


def test_features_of_efficientnet_do_not_depend_on_the_batch() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    cpu = torch.device("cpu")
    network = feature_extractors()["efficientnet_lite0"](cpu)
    found = extract_features(network, frames, "test", cpu)
    assert found.shape == (3, 1280)
    assert np.isfinite(found).all()
    assert np.allclose(found[1:2], extract_features(network, frames[1:2], "test", cpu), atol=1e-3)


def test_story_fid_equals_numpy_and_scipy() -> None:
    """Principal components as eigenvectors of the covariance, and the distance with scipy's matrix square root."""
    rng = np.random.default_rng(6)
    mixed = rng.normal(0, 1, (12, 12))
    X, Y = (rng.normal(mean, 1, (80, 12)) @ mixed for mean in (0.2, 0.0))
    vectors = np.linalg.eigh(np.cov(Y.T))[1][:, -5:]
    x, y = X @ vectors, Y @ vectors
    C_x, C_y = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(C_x @ C_y).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(C_x + C_y - 2 * root)
    X, Y = (Z.reshape(80, 4, 3) for Z in (X, Y))
    project = story_projection(Y, components=5)
    assert project(X).shape == (80, 1, 5)
    assert fid(project(X), project(Y), seed=0).mean == pytest.approx(expected, rel=1e-3)


def test_story_fid_sees_frames_of_other_stories_and_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """FID of single frames sees neither: the frames are the same."""
    monkeypatch.setattr(
        module, "feature_extractors", lambda: {"efficientnet_lite0": lambda _: lambda x: x.mean((2, 3))}
    )
    monkeypatch.setattr(module, "MIN_STORY_FID", 30)
    rng, N, T = np.random.default_rng(7), 120, 2
    story, frame = rng.integers(0, 100, (N, 1, 1, 1, 3)), np.array([0, 100]).reshape(1, T, 1, 1, 1)
    frames = (story + frame + rng.integers(0, 9, (N, T, 1, 1, 3))).astype(np.uint8).reshape(N * T, 1, 1, 3)
    real = np.arange(N * T).reshape(N, T)
    shuffled = np.stack([real[:, 0], np.concatenate([real[:60, 1], rng.permutation(real[60:, 1])])], 1)
    pool = FramePool(frames, {"real_frames": real, "swapped": real[:, ::-1], "shuffled": shuffled})
    values = {method: value.mean for method, value in story_distances(pool, seed=0).items()}
    assert values["shuffled"] > 2 * values["real_frames"]
    assert values["swapped"] > 10 * values["real_frames"]
    single = distances(pool, frames.reshape(-1, 3).astype(np.float32), seed=0)
    for method in ("swapped", "shuffled"):
        same = single["real_frames"]["fid_attribute_classifier"].mean
        assert single[method]["fid_attribute_classifier"].mean == pytest.approx(same, rel=1e-3)


def test_story_fid_of_too_few_stories_is_none() -> None:
    index = np.arange(1023)[:, None]
    assert story_distances(FramePool(np.zeros((1023, 1, 1, 3), np.uint8), {"real_frames": index}), seed=0) == {}
