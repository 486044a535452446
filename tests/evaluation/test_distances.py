"""KID and FID against torchmetrics, their intervals, and the features that they are computed on."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from storygan.errors import StoryganError
from storygan.evaluation import distances as module
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.distances import (
    after_mean3,
    alexnet,
    distances,
    download_inception,
    extract_features,
    feature_extractors,
    fid,
    inception,
    inception_weights,
    kid,
    story_projection,
)
from storygan.evaluation.st_lpips import find_weights


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


def test_features_of_alexnet_are_means_of_unit_vectors() -> None:
    weights, cpu = find_weights(), torch.device("cpu")
    assert weights is not None
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    found = alexnet(weights, cpu)(x) / 1152**0.5
    assert found.shape == (2, 64 + 192 + 384 + 256 + 256)
    assert found.split([64, 192, 384, 256, 256], 1)[0].norm(dim=1).max() <= 1
    small = torch.nn.functional.interpolate(x[..., :16, :16], (64, 64), mode="bilinear")
    assert torch.equal(alexnet(weights, cpu)(x[..., :16, :16]), alexnet(weights, cpu)(small))


def test_inception_is_used_if_its_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: name == "torch_fidelity")
    monkeypatch.setattr(module, "find_weights", lambda: None)
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
    found = distances(pool, frames.reshape(-1, 3).astype(np.float32), seed=0)
    values = {method: value["story_fid_efficientnet_lite0"].mean for method, value in found.items()}
    assert values["shuffled"] > 2 * values["real_frames"]
    assert values["swapped"] > 10 * values["real_frames"]
    for method in ("swapped", "shuffled"):
        same = found["real_frames"]["fid_attribute_classifier"].mean
        assert found[method]["fid_attribute_classifier"].mean == pytest.approx(same, rel=1e-3)


def test_story_fid_of_too_few_stories_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "feature_extractors", lambda: {"efficientnet_lite0": lambda _: lambda x: x.mean((2, 3))}
    )
    monkeypatch.setattr(module, "MIN_STORY_FID", 30)
    frames = np.random.default_rng(8).integers(0, 256, (59, 1, 1, 3), dtype=np.uint8)
    found = distances(FramePool(frames, {"real_frames": np.arange(59)[:, None]}), None, seed=0)
    assert set(found["real_frames"]) == {"kid_efficientnet_lite0", "fid_efficientnet_lite0"}


def test_at_most_1000_stories_are_on_each_side(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.stories_per_side(3000) == 1000
    assert module.stories_per_side(300) == 150
    assert module.stories_per_side(19) == 0


def test_the_3x3_mean_takes_grain_away_and_keeps_the_mean() -> None:
    seen: list[torch.Tensor] = []
    x = torch.full((1, 3, 8, 8), 100.0) + torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    after_mean3(lambda y: seen.append(y) or y)(x)
    assert seen[0].shape == x.shape
    assert seen[0][0, 0, 4, 4].item() == pytest.approx(x[0, 0, 3:6, 3:6].mean().item(), abs=1e-4)
    assert seen[0].std() < 0.5 * x.std()


class StandInInception(torch.nn.Module):
    """The documented interface of torch_fidelity.FeatureExtractorInceptionV3: uint8 in, a tuple of features out."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str) -> None:
        super().__init__()
        assert (name, features_list) == ("inception-v3-compat", ["2048"])
        assert Path(feature_extractor_weights_path).is_file()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        return (x.float().mean((2, 3)).repeat(1, 700)[:, :2048],)


def test_kid_and_fid_on_inception_by_the_interface_of_torch_fidelity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in network: torch-fidelity is in no test environment, as it brings torchvision."""
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(FeatureExtractorInceptionV3=StandInInception))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    inception_weights().parent.mkdir(parents=True)
    inception_weights().touch()
    frames = np.random.default_rng(9).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    cpu = torch.device("cpu")
    found = extract_features(inception(cpu), frames, "inception", cpu)
    assert found.shape == (5, 2048)
    assert found[:, :3] == pytest.approx(frames.mean((1, 2)), rel=1e-5)


def test_weights_of_another_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "weights.pth"
    source.write_bytes(b"weights")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    with pytest.raises(StoryganError, match=r"storygan\[fid\]"):
        download_inception(source.as_uri())
    monkeypatch.setattr(module, "find_spec", lambda name: name == "torch_fidelity")
    with pytest.raises(StoryganError, match="hash"):
        download_inception(source.as_uri())
    assert not inception_weights().exists()
    download_inception(source.as_uri(), sha256(b"weights").hexdigest())
    assert inception_weights().read_bytes() == b"weights"
    download_inception("file:///nowhere")  # it is there
