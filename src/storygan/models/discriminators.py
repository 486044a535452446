"""The two discriminators (paper, section 3.3). Both return logits: the sigmoid lives in the loss and in `score`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from storygan.config import DiscriminatorConfig
from storygan.models import accelerate as winograd
from storygan.models.story_encoder import D

SLOPE = 0.2
"""Slope of LeakyReLU (DCGAN)."""
STORY_FEATURES = 32 * 4
"""Features of a frame in the story discriminator: 32 maps of 2x2. The paper's table gives its last layer 32 x 1 x 1,
and its features 32 x 4 a frame, which do not fit; 2x2 maps give the second."""


class DownsampleConv(nn.Conv2d):
    """Conv4x4 with stride 2: half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 2H, 2W) -> (N, outputs, H, W)."""
        return winograd.conv2d(x, self.weight, stride=2)


def downsample_trunk() -> nn.Sequential:
    """Four Conv4x4 stride 2 + BN + LeakyReLU: (N, 3, 64, 64) -> (N, 512, 4, 4)."""
    channels = (3, 64, 128, 256, 512)
    return nn.Sequential(
        *(
            nn.Sequential(
                DownsampleConv(inputs, outputs),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            for inputs, outputs in pairwise(channels)
        )
    )


def remove_batch_norm(network: nn.Module) -> None:
    """Put the identity in place of every batch norm of `network`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, nn.Identity())


@torch.no_grad()
def he_initialize(network: nn.Module) -> None:
    """He initialization (He et al., 2015), in place: without norm layers, nothing else keeps the scale of the features.
    Layers that no LeakyReLU follows have a gain of 1."""
    followed = {
        layer
        for module in network.modules()
        if isinstance(module, nn.Sequential)
        for layer, later in zip(module, [*module][2:], strict=False)
        if isinstance(later, nn.LeakyReLU)
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            gain = nn.init.calculate_gain("leaky_relu", SLOPE) if module in followed else 1.0
            module.weight.normal_(0.0, gain / module.weight[0].numel() ** 0.5)
            if module.bias is not None:
                module.bias.zero_()


def add_spectral_norm(network: nn.Module) -> None:
    """Put spectral norm on every convolution and linear map of `network`, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)


class ConditionalConv(nn.Conv2d):
    """Conv3x3 over image maps and conditions that are repeated over the map, for several conditions at once.

    It is linear, so the image's part is computed once, and a condition's part, constant but for the zero-padded border,
    is a small matrix product: there are three kinds of rows (first, inner, last), and of columns, by which of the three
    taps fall outside.
    """

    TAPS_INSIDE = ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 0.0))  # first, inner and last row, or column

    def __init__(self, maps: int, condition: int, outputs: int) -> None:
        super().__init__(maps + condition, outputs, 3, padding=1, bias=False)
        self.split = [maps, condition]

    def forward(self, x: Tensor, conditions: tuple[Tensor, ...]) -> list[Tensor]:  # type: ignore[override]
        """(N, maps, H, W) and conditions (N, condition) each -> (N, outputs, H, W) for each; H, W >= 2."""
        W_x, W_c = self.weight.split(self.split, dim=1)
        image = winograd.conv2d(x, W_x, stride=1)
        inside = W_c.new_tensor(self.TAPS_INSIDE)
        rows, columns = (torch.tensor([0] + [1] * (n - 2) + [2], device=x.device) for n in x.shape[2:])
        taps = torch.einsum("nc,oclm->nolm", torch.cat(conditions), W_c)
        kinds = torch.einsum("nolm,rl,sm->nors", taps, inside, inside)
        parts = kinds.index_select(2, rows).index_select(3, columns).split(len(x))
        return [image + part for part in parts]


class ImageDiscriminator(nn.Module):
    """D_I(x_t, s_t, h_0): does the image look real and fit its sentence and story?

    Args:
        config: options.
        n_labels: labels of a frame for the label head; 0 for no head.
    """

    def __init__(self, config: DiscriminatorConfig | None = None, n_labels: int = 0) -> None:
        super().__init__()
        config = config or DiscriminatorConfig()
        self.features = downsample_trunk()
        self.join = nn.Sequential(
            ConditionalConv(512, D + D, 512),
            nn.BatchNorm2d(512),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.out = nn.Conv2d(512, 1, 4)
        self.label_head = nn.Conv2d(512, n_labels, 4) if n_labels else None
        if config.norm == "none":
            remove_batch_norm(self)
            he_initialize(self)
        if config.spectral_norm:
            add_spectral_norm(self)

    def forward(self, x: Tensor, *conditions: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Judge images under one or several conditions; what depends on the image alone is computed once.

        Args:
            x: (N, 3, 64, 64) images in [-1, 1].
            conditions: pairs of `s_t` (N, 128) and `h_0` (N, 128).

        Returns:
            One tensor of logits (N,) a condition, and the label logits (N, K) or None.
        """
        maps = self.features(x)  # (N, 512, 4, 4)
        joined = self.join[0](maps, tuple(torch.cat(pair, dim=1) for pair in conditions))
        logits = tuple(self.out(self.join[1:](one)).flatten() for one in joined)
        labels = self.label_head(maps).flatten(1) if self.label_head is not None else None
        return logits, labels

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
            downsample_trunk(),
            nn.Conv2d(512, 32, 4, stride=2, padding=1, bias=False),  # 32 x 2 x 2
            nn.BatchNorm2d(32),
            nn.Flatten(),
        )
        self.text_encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(D * T, STORY_FEATURES * T, bias=False), nn.BatchNorm1d(STORY_FEATURES * T)
        )
        self.w = nn.Linear(STORY_FEATURES * T, 1)  # with b
        if config.norm == "none":
            remove_batch_norm(self)
            he_initialize(self)
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
