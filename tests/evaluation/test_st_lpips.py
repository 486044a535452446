"""ST-LPIPS against the authors' code, with the weights that it installs, and with random ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from storygan.errors import StoryganError
from storygan.evaluation import st_lpips
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.st_lpips import CONVOLUTIONS, ShiftTolerantLPIPS, blur_pool, find_weights


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> ShiftTolerantLPIPS:
    """The network with random weights."""
    generator, state = torch.Generator().manual_seed(0), {}
    for k, (name, (shape, _)) in enumerate(CONVOLUTIONS.items()):
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / np.prod(shape[1:]) ** 0.5
        state[f"{name}.bias"] = torch.zeros(shape[0])
        state[f"lin{k}.model.1.weight"] = torch.rand((1, shape[0], 1, 1), generator=generator)
    path = tmp_path_factory.mktemp("weights") / "alex.pth"
    torch.save(state, path)
    return ShiftTolerantLPIPS(path)


def distance(network: ShiftTolerantLPIPS, a: torch.Tensor, b: torch.Tensor) -> float:
    return float(network.distance(network.features(a), network.features(b)))


def test_values_of_the_authors_code() -> None:
    """Computed with stlpips_pytorch 0.0.2, `LPIPS(net="alex", variant="shift_tolerant")`."""
    weights = find_weights()
    if weights is None:
        pytest.skip("needs the package stlpips-pytorch")
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    a, b = torch.stack([x, y, x * y])[None], torch.stack([y, -x, (x * 6).sin()])[None]
    network = ShiftTolerantLPIPS(weights)
    assert distance(network, a, b) == pytest.approx(0.566794, abs=1e-4)
    assert distance(network, a, a.flip(3)) == pytest.approx(0.524357, abs=1e-4)
    assert distance(network, a, a * 0.9) == pytest.approx(0.003685, abs=1e-5)


def test_blur_pool_is_the_binomial_filter_with_stride_2() -> None:
    x = torch.randn(2, 3, 9, 10, generator=torch.Generator().manual_seed(0))
    binomial = torch.tensor([1.0, 2.0, 1.0])
    weight = (binomial[:, None] * binomial / 16).expand(3, 1, 3, 3)
    expected = nn.functional.conv2d(nn.ReflectionPad2d(2)(x), weight, stride=2, groups=3)
    assert torch.allclose(blur_pool(x), expected, atol=1e-6)


def test_distances_of_a_pool(network: ShiftTolerantLPIPS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Story 4 is beyond the first three; a frame of each other story differs from the real one by more and more."""
    monkeypatch.setattr(st_lpips, "MAX_STORIES", 3)
    real = np.random.default_rng(0).integers(0, 256, (4, 2, 24, 24, 3), np.uint8)
    other = real.copy()
    for n in range(3):
        other[n, 1, : 5 * n] = 0
    index = np.arange(8).reshape(4, 2)
    pool = FramePool(np.concatenate([real, other]).reshape(16, 24, 24, 3), {"model": index + 8, "real_frames": index})
    found = st_lpips.st_lpips(pool, network)
    assert found["real_frames"].total.tolist() == [0] * 4
    assert found["real_frames"].weight.tolist() == [2, 2, 2, 0]
    total = found["model"].total
    assert 0 == total[0] == total[3] < total[1] < total[2]
    a, b = (torch.from_numpy(x[1, 1]).movedim(-1, 0)[None] / 127.5 - 1 for x in (real, other))
    assert total[1] == pytest.approx(distance(network, a, b), rel=1e-4)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "alex.pth"
    for content in ({}, {"net.slice1.0.weight": torch.zeros(3)}, [1]):
        torch.save(content, path)
        with pytest.raises(StoryganError, match="install stlpips-pytorch again"):
            ShiftTolerantLPIPS(path)
    path.write_bytes(b"")
    with pytest.raises(StoryganError, match="install stlpips-pytorch again"):
        ShiftTolerantLPIPS(path)
