"""Frames against the real frames, pixel by pixel. The convention is in the name; N stories of T frames, uint8.

They say little on CLEVR-SV: the mean image alone scores 0.84 to 0.89 in `ssim_01_gauss11`.
"""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from storygan.evaluation.bootstrap import PerStory, per_story

LOUDEST = 60.0
"""dB: PSNR is cut there, for that of equal frames is infinite."""


def ssim_01_gauss11(frames: np.ndarray, real: np.ndarray) -> PerStory:
    """SSIM of RGB frames in [0, 1], data range 1, Gaussian window of 11 pixels, sigma 1.5 (Wang et al., 2004)."""
    return _ssim(frames, real, 1 / 255, 0.0)


def ssim_pm1_range1_gauss11(frames: np.ndarray, real: np.ndarray) -> PerStory:
    """SSIM as it is often published for this data: frames in [-1, 1], scored as if their range were 1, not 2.

    Comparable with such numbers and with nothing else: the constants that steady it are 4 times too small.
    """
    return _ssim(frames, real, 1 / 127.5, -1.0)


def psnr_01(frames: np.ndarray, real: np.ndarray) -> PerStory:
    """PSNR in dB of RGB frames in [0, 1], data range 1, the mean over frames; at most 60."""
    x, y = _flat(frames, 1 / 255, 0.0), _flat(real, 1 / 255, 0.0)
    values = peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3)).clamp(max=LOUDEST)
    return per_story(values.numpy().reshape(frames.shape[:2]))


def _ssim(frames: np.ndarray, real: np.ndarray, scale: float, shift: float) -> PerStory:
    x, y = _flat(frames, scale, shift), _flat(real, scale, shift)
    values = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    return per_story(torch.as_tensor(values).numpy().reshape(frames.shape[:2]))


def _flat(frames: np.ndarray, scale: float, shift: float) -> torch.Tensor:
    """(N, T, H, W, 3) uint8 -> (N T, 3, H, W)."""
    return torch.from_numpy(frames.reshape(-1, *frames.shape[2:])).movedim(-1, 1) * scale + shift
