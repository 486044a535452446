"""The image generator (paper, table of the image generator)."""

from __future__ import annotations

from torch import nn

from storygan.config import ImageSize
from storygan.text.encoder import DIM


def conv_bn_relu_upsample(inputs: int, outputs: int) -> nn.Sequential:
    """Build a row of the table and the Upsample x2 after it: (N, inputs, H, W) -> (N, outputs, 2H, 2W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),  # BN has the bias
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Upsample(scale_factor=2),
    )


class ImageGenerator(nn.Sequential):
    """Gist `o_t` (N, 128, 4, 4) -> image `x_t` (N, 3, 64, 64) in [-1, 1].

    Args:
        image_size: 64, or 128 with one more row of the table.
    """

    def __init__(self, image_size: ImageSize = 64) -> None:
        rows = [
            conv_bn_relu_upsample(DIM, 512),  # (N, 128, 4, 4) -> (N, 512, 4, 4) -> (N, 512, 8, 8)
            conv_bn_relu_upsample(512, 256),  # -> (N, 256, 8, 8) -> (N, 256, 16, 16)
            conv_bn_relu_upsample(256, 128),  # -> (N, 128, 16, 16) -> (N, 128, 32, 32)
            conv_bn_relu_upsample(128, 64),  # -> (N, 64, 32, 32) -> (N, 64, 64, 64)
        ]
        channels = 64
        if image_size == 128:
            channels = 32
            rows.append(conv_bn_relu_upsample(64, 32))  # -> (N, 32, 64, 64) -> (N, 32, 128, 128)
        super().__init__(
            *rows,
            nn.Conv2d(channels, 3, 3, padding=1),  # -> (N, 3, 64, 64)
            nn.Tanh(),
        )
