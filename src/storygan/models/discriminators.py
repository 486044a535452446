"""The two discriminators (paper, section 3.3). Both return logits: the sigmoid is in the losses and in `score`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from storygan.config import DiscriminatorConfig, ImageSize
from storygan.models.initialization import he_initialize
from storygan.text.encoder import DIM

SLOPE = 0.2
"""Negative slope of LeakyReLU (DCGAN)."""
STORY_FEATURES = 32 * 4
"""Features of a frame in the story discriminator: 32 maps of 2x2. The paper's table gives its last layer 32 x 1 x 1 and
its features 32 x 4 a frame, which contradict each other; 2x2 maps give the second."""


def conv_bn_lrelu(inputs: int, outputs: int) -> nn.Sequential:
    """Build Conv4x4 with stride 2 + BN + LeakyReLU: (N, inputs, 2H, 2W) -> (N, outputs, H, W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def downsample_trunk(image_size: ImageSize = 64) -> nn.Sequential:
    """Build layers 1 to 4 of either discriminator: (N, 3, 64, 64) -> (N, 512, 4, 4). For images of 128, one more."""
    first = [conv_bn_lrelu(3, 64)]  # (N, 3, 64, 64) -> (N, 64, 32, 32)
    if image_size == 128:
        first = [conv_bn_lrelu(3, 32), conv_bn_lrelu(32, 64)]  # (N, 3, 128, 128) -> (N, 32, 64, 64) -> (N, 64, 32, 32)
    return nn.Sequential(
        *first,
        conv_bn_lrelu(64, 128),  # -> (N, 128, 16, 16)
        conv_bn_lrelu(128, 256),  # -> (N, 256, 8, 8)
        conv_bn_lrelu(256, 512),  # -> (N, 512, 4, 4)
    )


class ImageDiscriminator(nn.Module):
    """D_I(x_t, s_t, h_0): does the image look real and fit its sentence and story?

    Args:
        config: options; None: the paper's.
        n_labels: number of labels that the label head predicts; 0 for no head.
        image_size: 64 or 128; shapes below are those of 64.
    """

    def __init__(
        self, config: DiscriminatorConfig | None = None, n_labels: int = 0, image_size: ImageSize = 64
    ) -> None:
        super().__init__()
        self.features = downsample_trunk(image_size)
        self.join = nn.Sequential(  # (N, 512 + 256, 4, 4) -> (N, 512, 4, 4)
            nn.Conv2d(512 + DIM + DIM, 512, 3, padding=1, bias=False),
            nn.BatchNorm2d(512),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.out = nn.Conv2d(512, 1, 4)  # -> (N, 1, 1, 1)
        self.label_head = nn.Conv2d(512, n_labels, 4) if n_labels else None
        apply_options(self, config or DiscriminatorConfig())

    def forward(self, x: Tensor, *conditions: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Compute logits of images under one or several conditions; the images' features are computed once.

        Args:
            x: (N, 3, 64, 64) images in [-1, 1].
            conditions: pairs of `s_t` (N, 128) and `h_0` (N, 128).

        Returns:
            One tensor of logits (N,) per condition, and the label logits (N, n_labels) or None.
        """
        features = self.features(x)  # (N, 512, 4, 4)
        joined = self.join_conditions(features, [torch.cat(pair, dim=1) for pair in conditions])
        logits = tuple(self.out(y).flatten() for y in joined)
        labels = self.label_head(features).flatten(1) if self.label_head is not None else None
        return logits, labels

    def join_conditions(self, features: Tensor, conditions: Sequence[Tensor]) -> list[Tensor]:
        """Repeat each condition (N, 256) over the 4x4 map and join it with features (N, 512, 4, 4): (N, 512, 4, 4)."""
        maps = [c[:, :, None, None].expand(-1, -1, 4, 4) for c in conditions]  # (N, 256, 4, 4)
        return [self.join(torch.cat([features, c], dim=1)) for c in maps]

    def score(self, x: Tensor, s: Tensor, h_0: Tensor) -> Tensor:
        """Return D_I as a probability, (N,) in (0, 1)."""
        (logits,), _ = self(x, (s, h_0))
        return torch.sigmoid(logits)


class StoryDiscriminator(nn.Module):
    """`D_S(X, S) = sigmoid(w^T (E_img(X) . E_text(S)) + b)` (paper, section 3.3), `.` elementwise.

    Args:
        T: number of frames of a story.
        config: options; None: the paper's.
        image_size: 64 or 128; shapes below are those of 64.
    """

    def __init__(self, T: int, config: DiscriminatorConfig | None = None, image_size: ImageSize = 64) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(
            downsample_trunk(image_size),  # (B*T, 3, 64, 64) -> (B*T, 512, 4, 4)
            nn.Conv2d(512, 32, 4, stride=2, padding=1, bias=False),  # -> (B*T, 32, 2, 2)
            nn.BatchNorm2d(32),
            nn.Flatten(),  # -> (B*T, 128)
        )
        self.text_encoder = nn.Sequential(
            nn.Flatten(),  # (B, T, 128) -> (B, T*128)
            nn.Linear(DIM * T, STORY_FEATURES * T, bias=False),
            nn.BatchNorm1d(STORY_FEATURES * T),
        )
        self.w = nn.Linear(STORY_FEATURES * T, 1)  # with b
        apply_options(self, config or DiscriminatorConfig())

    def forward(self, X: Tensor, *stories: Tensor) -> tuple[Tensor, ...]:
        """Compute logits of image sequences against one or several stories; the images' features are computed once.

        Args:
            X: (B, T, 3, 64, 64) images in [-1, 1].
            stories: sentence vectors `S`, each (B, T, 128).

        Returns:
            One tensor of logits (B,) per story.
        """
        images = self.image_encoder(X.flatten(0, 1)).view(len(X), -1)  # (B, T*128): concatenated over T
        return tuple(self.w(images * self.text_encoder(S)).flatten() for S in stories)

    def score(self, X: Tensor, S: Tensor) -> Tensor:
        """Return D_S as a probability, (B,) in (0, 1)."""
        (logits,) = self(X, S)
        return torch.sigmoid(logits)


def apply_options(network: nn.Module, config: DiscriminatorConfig) -> None:
    """Remove batch norm (`norm: none`) and add spectral norm (`spectral_norm`), in place."""
    if config.norm == "none":
        for module in list(network.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
        he_initialize(network)
    if config.spectral_norm:
        for module in list(network.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)
