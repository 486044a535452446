"""The image generator (paper, table of the image generator): a gist into a picture."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from storygan.models import accelerate as winograd
from storygan.models.story_encoder import D


def doubling_kernel(weight: Tensor) -> Tensor:
    """The 4x4 kernel whose transposed convolution of stride 2 equals Upsample x2 (nearest) + Conv3x3 with `weight`.

    A 3x3 window over doubled pixels meets only 2x2 different ones, so 9 products shrink to 4: the kernel is the flipped
    3x3 one, summed over every 2x2 shift.

    Args:
        weight: (outputs, inputs, 3, 3).

    Returns:
        (inputs, outputs, 4, 4), for `F.conv_transpose2d(stride=2, padding=1)`.
    """
    flipped = weight.flip(2, 3).transpose(0, 1)
    rows = F.pad(flipped, (0, 0, 0, 1)) + F.pad(flipped, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))


class UpsampleConv(nn.Conv2d):
    """Upsample x2, then Conv3x3 of the same size, as one transposed convolution: 2.25 times less arithmetic."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W)."""
        return winograd.conv_transpose2d(x, doubling_kernel(self.weight), self.bias)


def upsample_conv_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    """Upsample x2, Conv3x3, BN, ReLU. The convolution has no bias: BN takes it away."""
    return nn.Sequential(UpsampleConv(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class ImageGenerator(nn.Sequential):
    """Gist (N, 128, 4, 4) -> image (N, 3, 64, 64) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(  # 512 x 4 x 4
                nn.Conv2d(D, 512, 3, padding=1, bias=False), nn.BatchNorm2d(512), nn.ReLU(inplace=True)
            ),
            upsample_conv_bn_relu(512, 256),  # 512 x 8 x 8 -> 256 x 8 x 8
            upsample_conv_bn_relu(256, 128),  # 256 x 16 x 16 -> 128 x 16 x 16
            upsample_conv_bn_relu(128, 64),  # 128 x 32 x 32 -> 64 x 32 x 32
            UpsampleConv(64, 3, bias=True),  # 64 x 64 x 64 -> 3 x 64 x 64
            nn.Tanh(),
        )

    def forward(self, o: Tensor) -> Tensor:
        """(N, 128, 4, 4) -> (N, 3, 64, 64)."""
        return super().forward(o)
