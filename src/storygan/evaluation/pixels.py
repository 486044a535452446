"""Frames against the real frames, pixel by pixel. The convention is in the name; N stories of T frames, uint8.

They say little on CLEVR-SV: the mean image alone scores 0.84 to 0.89 in `ssim_01_gauss11`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.evaluation.bootstrap import PerStory, per_story

LOUDEST = 60.0
"""dB: PSNR is cut there, for that of equal frames is infinite."""
WINDOW, SIGMA = 11, 1.5
"""Of SSIM's Gaussian window, in pixels."""


def pixel_metrics(frames: np.ndarray, real: np.ndarray) -> dict[str, PerStory]:
    """SSIM and PSNR of RGB frames (N, T, H, W, 3), uint8.

    Returns:
        `ssim_01_gauss11`: frames in [0, 1], data range 1, Gaussian window of 11 pixels.
        `ssim_pm1_range1_gauss11`: frames in [-1, 1] scored as if their range were 1, not 2, as comes of giving a
            generator's frames to code whose constants are for [0, 1]. Comparable with such numbers and with nothing
            else: its constants are 4 times too small.
        `psnr_01`: in dB, frames in [0, 1], data range 1, at most 60: -10 log10 of the mean squared error (Wang and
            Bovik, 2009).
    """
    x, y = (torch.from_numpy(Z.reshape(-1, *Z.shape[2:])).movedim(-1, 1) / 255 for Z in (frames, real))
    psnr = -10 * (x - y).square().mean((1, 2, 3)).log10()
    moments = _moments(x, y)
    values = {
        "ssim_01_gauss11": _ssim(*moments),
        "ssim_pm1_range1_gauss11": _ssim(2 * moments[0] - 1, 2 * moments[1] - 1, *(4 * m for m in moments[2:])),
        "psnr_01": psnr.clamp(max=LOUDEST),
    }
    return {name: per_story(value.numpy().reshape(frames.shape[:2])) for name, value in values.items()}


def _ssim(mu_x: Tensor, mu_y: Tensor, var_x: Tensor, var_y: Tensor, cov: Tensor) -> Tensor:
    """SSIM (Wang et al., 2004, equation 13) for a data range of 1, from local moments (B, 3, H, W): (B,)."""
    c_1, c_2 = 0.01**2, 0.03**2
    above = (2 * mu_x * mu_y + c_1) * (2 * cov + c_2)
    return (above / ((mu_x**2 + mu_y**2 + c_1) * (var_x + var_y + c_2))).mean((1, 2, 3))


def _moments(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Means, variances and covariance under the window at each pixel (the border reflects): each (B, 3, H, W).

    Two products with a banded matrix: a good deal faster than the library's convolution with the whole window, and it
    serves both conventions.
    """
    x, y = (F.pad(z, [WINDOW // 2] * 4, mode="reflect") for z in (x, y))
    rows, columns = (_windows(size) for size in x.shape[2:])
    mu_x, mu_y, xx, yy, xy = (rows @ m @ columns.T for m in (x, y, x * x, y * y, x * y))
    return mu_x, mu_y, xx - mu_x**2, yy - mu_y**2, xy - mu_x * mu_y


def _windows(size: int) -> Tensor:
    """The window at each of the places where it fits a line of pixels: (size - 10, size), rows that sum to 1."""
    window = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    places = torch.zeros(size - WINDOW + 1, size)
    for k in range(len(places)):
        places[k, k : k + WINDOW] = window / window.sum()
    return places
