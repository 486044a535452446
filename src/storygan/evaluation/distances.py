"""How far the frames drawn are from real frames as a distribution, on features of whichever network.

X and Y are features (N, T, F) of N stories of T frames. The frames of one story depend on each other, so stories, not
frames, are what is resampled and what is independent.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from storygan.evaluation.bootstrap import Estimate, resamples

FID_RESAMPLES = 25


def kid(X: np.ndarray, Y: np.ndarray, seed: int) -> Estimate:
    """Kernel distance: the unbiased squared MMD with the kernel (x.y/F + 1)^3 (Binkowski et al., ICLR 2018).

    Pairs of frames of one story are left out of the two inner means (with T = 1 it is the usual KID). 0 is best; it may
    fall a little below. The interval is the percentile bootstrap over the stories of both sides.
    """
    inner_x, inner_y, outer = _kernel(X, X), _kernel(Y, Y), _kernel(X, Y)
    for inner in (inner_x, inner_y):
        np.fill_diagonal(inner, 0)

    def value(v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """For counts v (R, N) and w (R, M) of the stories."""
        within = [((c @ K) * c).sum(1) / (c.sum(1) ** 2 - (c**2).sum(1)) for c, K in ((v, inner_x), (w, inner_y))]
        return within[0] + within[1] - 2 * ((v @ outer) * w).sum(1) / (v.sum(1) * w.sum(1))

    mean = value(np.ones((1, len(X))), np.ones((1, len(Y))))[0]
    values = value(resamples(len(X), seed).astype(float), resamples(len(Y), seed + 1).astype(float))
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(float(mean), float(low), float(high), len(X))


def _kernel(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Means of the kernel over the frames of each pair of stories: (N, T, F), (M, T, F) -> (N, M)."""
    flat_x, flat_y = (torch.from_numpy(Z.reshape(-1, Z.shape[-1])).float() for Z in (X, Y))
    k = (flat_x @ flat_y.T / X.shape[-1] + 1) ** 3
    return k.double().reshape(len(X), X.shape[1], len(Y), Y.shape[1]).mean((1, 3)).numpy()


def fid(X: np.ndarray, Y: np.ndarray, seed: int) -> Estimate:
    """Frechet distance of the Gaussians fitted to X and Y (Heusel et al., NeurIPS 2017); 0 is best.

    |mu_X - mu_Y|^2 + tr(C_X + C_Y - 2 (C_X C_Y)^(1/2)). Biased upwards, more so for few frames and many features:
    compare rows of one table alone. The interval is normal, 1.96 standard errors each way, from 25 bootstrap resamples
    of the stories of X: the percentile interval would add the bias a second time.
    """
    x, y = torch.from_numpy(X).double(), torch.from_numpy(Y).double()
    mu_y, C_y = _gaussian(y, torch.ones(len(y)).double())
    values, vectors = torch.linalg.eigh(C_y)
    root_y = vectors * values.clamp(min=0).sqrt() @ vectors.T

    def value(counts: Tensor) -> float:
        mu_x, C_x = _gaussian(x, counts)
        cross = torch.linalg.eigvalsh(root_y @ C_x @ root_y).clamp(min=0).sqrt().sum()
        return float((mu_x - mu_y).square().sum() + C_x.trace() + C_y.trace() - 2 * cross)

    mean = value(torch.ones(len(x)).double())
    error = np.std([value(counts) for counts in torch.from_numpy(resamples(len(x), seed, FID_RESAMPLES)).double()])
    return Estimate(mean, float(mean - 1.96 * error), float(mean + 1.96 * error), len(X))


def _gaussian(x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of features (N, T, F) of stories that count so often (N,)."""
    flat, weights = x.flatten(0, 1), counts.repeat_interleave(x.shape[1])
    mu = weights @ flat / weights.sum()
    centred = flat - mu
    return mu, (centred * weights[:, None]).T @ centred / (weights.sum() - 1)
