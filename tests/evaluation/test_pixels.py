"""SSIM and PSNR: the convention in the name is the one that is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from storygan.evaluation.metrics import pixel_metrics


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """2 stories of 3 frames of noise."""
    return np.random.default_rng(0).integers(0, 256, (2, 3, 20, 16, 3), dtype=np.uint8)


def test_equal_frames(frames: np.ndarray) -> None:
    best = {"ssim_01_gauss11": 1, "ssim_pm1_range1_gauss11": 1, "psnr_01": 60}
    for name, (total, weight) in pixel_metrics(frames, frames).items():
        assert total / weight == pytest.approx([best[name]] * 2, abs=1e-4)


def test_they_are_those_of_torchmetrics(frames: np.ndarray) -> None:
    real = (frames * 0.6 + 40).astype(np.uint8)
    found = {name: total / weight for name, (total, weight) in pixel_metrics(frames, real).items()}
    x, y = (torch.from_numpy(Z).flatten(0, 1).movedim(-1, 1).double() / 255 for Z in (frames, real))
    for name, (scale, shift) in {"ssim_01_gauss11": (1, 0), "ssim_pm1_range1_gauss11": (2, -1)}.items():
        pair = (x * scale + shift, y * scale + shift)
        ssim = structural_similarity_index_measure(*pair, sigma=1.5, data_range=1.0, reduction="none")
        assert isinstance(ssim, torch.Tensor)
        assert found[name] == pytest.approx(ssim.view(2, 3).mean(1).numpy(), abs=1e-4)
    psnr = peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert found["psnr_01"] == pytest.approx(psnr.view(2, 3).mean(1).numpy(), abs=1e-3)


def test_ssim_of_flat_frames_by_hand() -> None:
    """Without variance, SSIM is (2 a b + c) / (a^2 + b^2 + c), c = 0.01^2 for a range of 1."""
    one, other = np.full((1, 1, 16, 16, 3), 51, np.uint8), np.full((1, 1, 16, 16, 3), 102, np.uint8)
    found = pixel_metrics(one, other)
    for name, a, b in (("ssim_01_gauss11", 0.2, 0.4), ("ssim_pm1_range1_gauss11", -0.6, -0.2)):
        expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
        assert found[name].total == pytest.approx([expected], rel=1e-2)
    assert found["psnr_01"].total == pytest.approx([-10 * np.log10(0.2**2)], rel=1e-5)
