"""The image generator (paper, table of the image generator): a gist into a picture."""

from __future__ import annotations

from torch import Tensor, nn

from storygan.models.story_encoder import D


def conv_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    """Conv3x3 + BN + ReLU, same size. The convolution has no bias: BN takes it away."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ImageGenerator(nn.Sequential):
    """Gist (N, 128, 4, 4) -> image (N, 3, 64, 64) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__(
            conv_bn_relu(D, 512),  # 512 x 4 x 4
            nn.Upsample(scale_factor=2),
            conv_bn_relu(512, 256),  # 256 x 8 x 8
            nn.Upsample(scale_factor=2),
            conv_bn_relu(256, 128),  # 128 x 16 x 16
            nn.Upsample(scale_factor=2),
            conv_bn_relu(128, 64),  # 64 x 32 x 32
            nn.Upsample(scale_factor=2),
            nn.Conv2d(64, 3, 3, padding=1),  # 3 x 64 x 64
            nn.Tanh(),
        )

    def forward(self, o: Tensor) -> Tensor:
        """(N, 128, 4, 4) -> (N, 3, 64, 64)."""
        return super().forward(o)
