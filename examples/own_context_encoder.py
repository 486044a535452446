"""Replace a part of the model: run any command with a context encoder of one's own.

    python examples/own_context_encoder.py train configs/quickstart.yaml
    python examples/own_context_encoder.py generate --model runs/quickstart/model

Each filter reads `h_t` at every 16th position: `o_t` has 16 x 8 = 128 values, as in the paper's table, and a linear
map makes the gist (128, 4, 4) of them. The model folder loads only where the class is registered, as below.
"""

import sys

from torch import Tensor

from storygan.cli import main
from storygan.models.baselines import CONTEXTS, linear_gist
from storygan.models.context_encoder import ContextEncoder
from storygan.text.encoder import DIM

STRIDE = 16


class StridedContextEncoder(ContextEncoder):
    """The context encoder, with a stride in `Filter(i_t) * h_t`."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__(noise_dim)
        self.layer = linear_gist(DIM)

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Compute the gists (B, T, 128, 4, 4), as `ContextEncoder.forward`."""
        o = super().forward(S, eps, h_0, g_0)[:, :, ::STRIDE]  # (B, T, 8, 4, 4)
        return self.layer(o.flatten(2).flatten(0, 1)).unflatten(0, o.shape[:2])


if __name__ == "__main__":
    CONTEXTS["storygan"] = StridedContextEncoder
    sys.exit(main(sys.argv[1:]))
