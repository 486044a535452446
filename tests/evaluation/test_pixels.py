"""SSIM and PSNR: the convention in the name is the one that is computed."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.evaluation.pixels import psnr_01, ssim_01_gauss11, ssim_pm1_range1_gauss11


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """2 stories of 3 frames of noise."""
    return np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)


def test_equal_frames(frames: np.ndarray) -> None:
    for metric, best in ((ssim_01_gauss11, 1), (ssim_pm1_range1_gauss11, 1), (psnr_01, 60)):
        total, weight = metric(frames, frames)
        assert total / weight == pytest.approx([best, best], abs=1e-4)


def test_psnr_by_hand() -> None:
    black, gray = np.zeros((1, 2, 8, 8, 3), np.uint8), np.full((1, 2, 8, 8, 3), 51, np.uint8)  # 51 / 255 = 0.2
    total, weight = psnr_01(black, gray)
    assert total / weight == pytest.approx([-10 * np.log10(0.2**2)], rel=1e-5)


def test_ssim_of_flat_frames_by_hand() -> None:
    """Without variance, SSIM is (2 a b + c) / (a^2 + b^2 + c), c = 0.01^2 for a range of 1."""
    one, other = np.full((1, 1, 16, 16, 3), 51, np.uint8), np.full((1, 1, 16, 16, 3), 102, np.uint8)
    for metric, a, b in ((ssim_01_gauss11, 0.2, 0.4), (ssim_pm1_range1_gauss11, -0.6, -0.2)):
        expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
        assert metric(one, other).total == pytest.approx([expected], rel=1e-3)
