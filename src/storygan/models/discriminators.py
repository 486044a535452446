"""The two discriminators (paper, section 3.3). Both return logits: the sigmoid lives in the loss and in `score`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from storygan.config import DiscriminatorConfig
from storygan.models.story_encoder import D

SLOPE = 0.2
"""Slope of LeakyReLU (DCGAN)."""
STORY_FEATURES = 32 * 4
"""Features of a frame in the story discriminator: 32 maps of 2x2."""


def ladder() -> nn.Sequential:
    """Four Conv4x4 stride 2 + BN + LeakyReLU: (N, 3, 64, 64) -> (N, 512, 4, 4)."""
    channels = (3, 64, 128, 256, 512)
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            for inputs, outputs in pairwise(channels)
        )
    )


def add_spectral_norm(network: nn.Module) -> None:
    """Put spectral norm on every convolution and linear map of `network`, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)


class ImageDiscriminator(nn.Module):
    """D_I(x_t, s_t, h_0): does the image look real and fit its sentence and story?

    Args:
        config: options.
        n_labels: labels of a frame for the label head; 0 for no head.
    """

    def __init__(self, config: DiscriminatorConfig | None = None, n_labels: int = 0) -> None:
        super().__init__()
        config = config or DiscriminatorConfig()
        self.features = ladder()
        self.join = nn.Sequential(
            nn.Conv2d(512 + D + D, 512, 3, padding=1, bias=False),
            nn.BatchNorm2d(512),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.out = nn.Conv2d(512, 1, 4)
        self.label_head = nn.Conv2d(512, n_labels, 4) if n_labels else None
        if config.spectral_norm:
            add_spectral_norm(self)

    def forward(self, x: Tensor, *conditions: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Judge images under one or several conditions; the image's features are computed once.

        Args:
            x: (N, 3, 64, 64) images in [-1, 1].
            conditions: pairs of `s_t` (N, 128) and `h_0` (N, 128).

        Returns:
            One tensor of logits (N,) a condition, and the label logits (N, K) or None.
        """
        maps = self.features(x)  # (N, 512, 4, 4)
        logits = tuple(self.judge(maps, s, h_0) for s, h_0 in conditions)
        labels = self.label_head(maps).flatten(1) if self.label_head is not None else None
        return logits, labels

    def judge(self, maps: Tensor, s: Tensor, h_0: Tensor) -> Tensor:
        """Logits (N,) of image features (N, 512, 4, 4) with `s_t` and `h_0` repeated over the 4x4 map."""
        condition = torch.cat([s, h_0], dim=1)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        return self.out(self.join(torch.cat([maps, condition], dim=1))).flatten()

    def score(self, x: Tensor, s: Tensor, h_0: Tensor) -> Tensor:
        """D_I as a probability, (N,) in (0, 1)."""
        (logits,), _ = self(x, (s, h_0))
        return torch.sigmoid(logits)


class StoryDiscriminator(nn.Module):
    """`D_S(X, S) = sigmoid(w^T (E_img(X) . E_text(S)) + b)` (paper, equation 6), `.` elementwise."""

    def __init__(self, T: int, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        config = config or DiscriminatorConfig()
        self.image_encoder = nn.Sequential(
            ladder(),
            nn.Conv2d(512, 32, 4, stride=2, padding=1, bias=False),  # 32 x 2 x 2
            nn.BatchNorm2d(32),
            nn.Flatten(),
        )
        self.text_encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(D * T, STORY_FEATURES * T, bias=False), nn.BatchNorm1d(STORY_FEATURES * T)
        )
        self.w = nn.Linear(STORY_FEATURES * T, 1)  # with b
        if config.spectral_norm:
            add_spectral_norm(self)

    def forward(self, X: Tensor, *stories: Tensor) -> tuple[Tensor, ...]:
        """Judge image sequences against one or several stories; the images' features are computed once.

        Args:
            X: (B, T, 3, 64, 64) images in [-1, 1].
            stories: sentence vectors `S`, each (B, T, 128).

        Returns:
            One tensor of logits (B,) a story.
        """
        B, T = X.shape[:2]
        images = self.image_encoder(X.flatten(0, 1)).view(B, T * STORY_FEATURES)  # concatenated over T
        return tuple(self.w(images * self.text_encoder(S)).flatten() for S in stories)

    def score(self, X: Tensor, S: Tensor) -> Tensor:
        """D_S as a probability, (B,) in (0, 1)."""
        (logits,) = self(X, S)
        return torch.sigmoid(logits)
