"""Noise that agrees with the pictures: of a rendered CLEVR-SV story it is known what its frames show and no sentence
tells - where camera and lights strayed, how each cube is turned - and the noise stands for it.

Not in the paper. Without it, the squared error averages over what is not told, and edges blur. What is not told is
brought to standard normal, so over the stories the noise has the distribution that `Noise.draw` draws from.
"""

from __future__ import annotations

import numpy as np
import torch

from storygan.data.clevr.untold import untold
from storygan.data.dataset import StoryDataset
from storygan.models.noise import Noise
from storygan.types import UsageError


class CoupledNoise:
    """What the stories of a data set do not tell, as noise.

    The first 12 of `eps_0` are where camera and lights strayed; the first two of a cube's `eps_t` point to its turn,
    a quarter being the whole circle, and are as far out as they were drawn. All other values stay as they were drawn.

    Args:
        dataset: N stories of T sentences, rendered by `storygan data render-clevr`.
        noise_dim: values of `eps_t`.

    Raises:
        UsageError: another program made a story, or its sentences have been changed; `noise_dim` is below 2.
    """

    def __init__(self, dataset: StoryDataset, noise_dim: int) -> None:
        if noise_dim < 2:
            raise UsageError(f"model.noise_dim is {noise_dim}: coupled_noise needs 2 values for a cube's turn")
        known = untold(dataset)
        self.strayed = 2**0.5 * torch.from_numpy(known.strayed).erfinv().float()  # (N, 12), uniform -> standard normal
        self.turns = torch.from_numpy(known.turns)  # (N, T, 2)
        self.cubes = torch.from_numpy(known.cubes)[..., None]  # (N, T, 1)

    def couple(self, noise: Noise, chosen: np.ndarray) -> Noise:
        """The noise of the B stories `chosen`, with what they do not tell in it."""
        stories = torch.from_numpy(chosen)
        strayed = self.strayed[stories]
        eps_0 = torch.cat([strayed, noise.eps_0[:, strayed.shape[1] :]], 1)
        pair, rest = noise.eps[..., :2], noise.eps[..., 2:]
        turned = torch.where(self.cubes[stories], pair.norm(dim=-1, keepdim=True) * self.turns[stories], pair)
        return Noise(eps_0, torch.cat([turned, rest], -1), noise.g_0)
