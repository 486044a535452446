"""The attribute classifier: a small convolutional network that predicts the content of a frame.

For a location in a CLEVR-SV frame it predicts whether an object is present, its size, colour, material and shape, and,
as an option, the yaw of a cube. One forward pass gives a map of logits for all locations. For any frame it predicts
which of the K labels apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.models import weights
from storygan.models.frame_network import SIZE, FrameNetwork, require_words
from storygan.text.clevr import ATTRIBUTES

LOGIT_SIZES = [1, *(len(options) for options in ATTRIBUTES.values())]
"""Logits of a location: one for "an object is present", then one per size, colour, material and shape."""
N_LOGITS = sum(LOGIT_SIZES)
N_YAW = 2
"""Values of a location after the logits: cosine and sine of 4 times the yaw, as a cube looks the same every quarter."""
N_FEATURES = 96
PRESENT_THRESHOLD = 0.5
"""Probability from which an object counts as present."""
Architecture = Literal["plain", "resnet"]
MAX_LABELS = 10_000
SHIPPED = weights.SHIPPED / "classifier-clevr-sv"


@dataclass(frozen=True)
class Prediction:
    """Predictions at P locations of each of B frames."""

    present: np.ndarray
    """(B, P) float32, the probability of an object."""
    attributes: np.ndarray
    """(B, P, 4) int64, the most probable size, colour, material and shape: indices into `ATTRIBUTES`."""


class AttributeClassifier(FrameNetwork):
    """Maps frames to a map of logits, K label logits, and features.

    Args:
        labels: names of the K labels.
        about: training data and scores, saved with the classifier. `locations`: whether it was trained on locations.
        yaw: whether it predicts the yaw of cubes.
        architecture: of the trunk: `plain`, or `resnet`, with residual blocks (He et al., CVPR 2016).
    """

    name = "classifier"

    def __init__(
        self,
        labels: Sequence[str],
        about: Mapping[str, Any] | None = None,
        yaw: bool = False,
        architecture: Architecture = "plain",
    ) -> None:
        super().__init__(about)
        self.labels = tuple(labels)
        self.architecture: Architecture = architecture
        if architecture == "resnet":
            blocks = [ResidualBlock(32, 32), ResidualBlock(32, 64), ResidualBlock(64, 64, 2), ResidualBlock(64, 64, 4)]
            self.trunk = nn.Sequential(*conv_bn_relu(3 + 2, 32, stride=2), *blocks)  # (B, 5, 64, 64) -> (B, 64, 32, 32)
        else:
            self.trunk = nn.Sequential(
                nn.PixelUnshuffle(2),  # (B, 5, 64, 64) -> (B, 20, 32, 32)
                *conv_bn_relu(4 * (3 + 2), 64),
                *conv_bn_relu(64, 64),
                *conv_bn_relu(64, 64, dilation=2),
            )
        self.around = nn.Sequential(*conv_bn_relu(64, 64, dilation=4))  # large objects exceed the trunk's field of view
        # `places` and `turns` are the names in model folders and checkpoints of version 0.1
        self.places = nn.Sequential(nn.Conv2d(64 + 2, 128, 1), nn.ReLU(), nn.Conv2d(128, N_LOGITS, 1))
        self.turns = (
            nn.Sequential(
                *conv_bn_relu(64 + 2, 64),
                *conv_bn_relu(64, 64, dilation=2),
                *conv_bn_relu(64, 64),
                nn.Conv2d(64, N_YAW, 1),
            )
            if yaw
            else None
        )
        self.frame = nn.Sequential(*conv_bn_relu(64, N_FEATURES, stride=2))
        self.label_head = nn.Linear(N_FEATURES, len(self.labels))

    @property
    def predicts_locations(self) -> bool:
        """Whether it was trained on CLEVR-SV sentences, and so predicts objects at locations."""
        return bool(self.about.get("locations"))

    @property
    def predicts_yaw(self) -> bool:
        """Whether it predicts the yaw of cubes."""
        return self.turns is not None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute logits and features of frames.

        Args:
            x: (B, 3, H, H) in [-1, 1]; of another size than 64, it is resized.

        Returns:
            maps (B, 16, 32, 32) of logits, or (B, 18, 32, 32) with yaw; label logits (B, K); features (B, 96).
        """
        coordinates = self.coordinates.expand(len(x), -1, -1, -1)
        h = self.trunk(torch.cat([resize(x), coordinates], 1))  # (B, 64, 32, 32)
        h = h + self.around(h)
        located = torch.cat([h, F.avg_pool2d(coordinates, 2)], 1)  # (B, 66, 32, 32)
        maps = self.places(located)
        if self.turns is not None:
            maps = torch.cat([maps, self.turns(located)], 1)
        f = self.frame(h)  # (B, 96, 16, 16)
        return maps, self.label_head(f.amax((2, 3))), f.mean((2, 3))

    @torch.no_grad()
    def predict(self, frames: np.ndarray) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Predict the content of frames.

        Args:
            frames: (B, H, W, 3) uint8.

        Returns:
            maps for `predict_objects`, label probabilities (B, K), features (B, 96).
        """
        maps, labels, features = (y.cpu() for y in self(to_input(frames).to(self.coordinates.device)))
        return maps, labels.sigmoid().numpy(), features.numpy()

    def settings(self) -> dict[str, Any]:
        settings = {"labels": self.labels, "about": self.about, "yaw": self.predicts_yaw}
        return settings if self.architecture == "plain" else {**settings, "architecture": self.architecture}

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:  # `turns` and `places` are names of version 0.1
        labels, about = settings["labels"], settings.get("about") or {}
        yaw = settings.get("yaw", settings.get("turns", False))
        require_words("labels", labels, MAX_LABELS)
        if not isinstance(about, dict):
            raise ValueError("about is not as storygan writes it")
        architecture = settings.get("architecture", "plain")
        if architecture not in get_args(Architecture):
            raise ValueError(f"architecture is none of {', '.join(get_args(Architecture))}")
        if "places" in about:
            about["locations"] = about.pop("places")
        return cls(labels, about, yaw, architecture)


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Build Conv3x3 + BN + ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


class ResidualBlock(nn.Module):
    """Add two convolutions to their input, which passes a 1x1 convolution where the widths differ."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        *layers, _ = [*conv_bn_relu(inputs, outputs), *conv_bn_relu(outputs, outputs, dilation=dilation)]
        self.residual = nn.Sequential(*layers)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (B, inputs, H, W) -> (B, outputs, H, W)."""
        return F.relu(self.skip(x) + self.residual(x))


def to_input(frames: np.ndarray) -> Tensor:
    """Convert uint8 frames (B, H, W, 3) to float32 (B, 3, 64, 64) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1).float() / 127.5 - 1
    return resize(x)


def resize(x: Tensor) -> Tensor:
    """Resize frames (B, 3, H, H) to (B, 3, 64, 64)."""
    return x if x.shape[2:] == (SIZE, SIZE) else F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def at_locations(maps: Tensor, locations: Tensor) -> Tensor:
    """Interpolate maps (B, C, 32, 32) at picture coordinates (B, P, 2) in [0, 1], bilinearly: (B, P, C)."""
    values = F.grid_sample(maps, locations[:, :, None] * 2 - 1, padding_mode="border", align_corners=False)
    return values[..., 0].swapaxes(1, 2)


def object_loss(
    maps: Tensor, locations: Tensor, present: Tensor, counts: Tensor, attributes: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the cross-entropies of objects at locations.

    Args:
        maps: (B, 16 or more, 32, 32).
        locations: (B, P, 2) picture coordinates in [0, 1]; the first T are those of the story's T objects.
        present: (B, P) bool, whether an object is present.
        counts: (B, P) bool, whether the location counts in the first loss.
        attributes: (B, T, 4) int64, the objects' size, colour, material and shape.

    Returns:
        Two scalars >= 0: for "an object is present", and summed over the four attributes where one of the T is present.
    """
    present_logits, *each = at_locations(maps[:, :N_LOGITS], locations).split(LOGIT_SIZES, -1)
    T = attributes.shape[1]
    visible = present[:, :T]
    L_present = F.binary_cross_entropy_with_logits(present_logits[..., 0][counts], present[counts].float())
    targets = attributes[visible].unbind(-1)
    terms = [F.cross_entropy(logits[:, :T][visible], target) for logits, target in zip(each, targets, strict=True)]
    return L_present, torch.stack(terms).sum()


def yaw_loss(maps: Tensor, locations: Tensor, yaw: Tensor, counts: Tensor) -> Tensor:
    """Compute the mean squared error of the yaw.

    Args:
        maps: (B, 18, 32, 32).
        locations: (B, T, 2) picture coordinates in [0, 1].
        yaw: (B, T, 2), unit vectors as `N_YAW` says.
        counts: (B, T) bool, whether a cube is present.

    Returns:
        Scalar >= 0: squared distances averaged over the cubes; 0 if there is none.
    """
    distances = (at_locations(maps[:, N_LOGITS:], locations) - yaw).square().sum(-1)
    return (distances * counts).sum() / counts.sum().clamp(min=1)


@torch.no_grad()
def predict_objects(maps: Tensor, locations: np.ndarray) -> Prediction:
    """Predict the objects at picture coordinates (B, P, 2) in [0, 1] from maps (B, 16 or more, 32, 32)."""
    present, *each = at_locations(maps[:, :N_LOGITS], torch.from_numpy(locations)).split(LOGIT_SIZES, -1)
    attributes = torch.stack([logits.argmax(-1) for logits in each], -1)
    return Prediction(present[..., 0].sigmoid().numpy(), attributes.numpy())
