"""The paper's baselines (section 4): modules in place of the context encoder, with the same signature."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from storygan.config import Variant
from storygan.models.context_encoder import GIST_SIZE, ContextEncoder, FilterNetwork, LowerGRU, gist
from storygan.text.encoder import DIM


def linear_gist(inputs: int) -> nn.Module:
    """Build a linear map to a gist: (N, inputs) -> (N, 128, 4, 4)."""
    return nn.Sequential(nn.Linear(inputs, DIM * GIST_SIZE * GIST_SIZE), nn.Unflatten(1, (DIM, GIST_SIZE, GIST_SIZE)))


class ImageGANContext(nn.Module):
    """`imagegan`: `o_t` is a linear map of `[s_t, h_0, eps_t]`; there is no recurrence."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.layer = linear_gist(DIM + DIM + noise_dim)

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Compute the gists, as `ContextEncoder.forward`; `g_0` is ignored."""
        h_0s = h_0.unsqueeze(1).expand(-1, S.shape[1], -1)  # (B, T, 128)
        return self.layer(torch.cat([S, h_0s, eps], dim=2).flatten(0, 1)).unflatten(0, S.shape[:2])


class SVCContext(nn.Module):
    """`svc`: `o_t` is a linear map of `[i_t, h_0]`."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.lower = LowerGRU(noise_dim)
        self.layer = linear_gist(DIM + DIM)

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Compute the gists, as `ContextEncoder.forward`."""
        i = self.lower(S, eps, g_0)  # (B, T, 128)
        h_0s = h_0.unsqueeze(1).expand_as(i)
        return self.layer(torch.cat([i, h_0s], dim=2).flatten(0, 1)).unflatten(0, S.shape[:2])


class SVFNContext(nn.Module):
    """`svfn`: `o_t = Filter(i_t) * h_0`; there is no state `h_t`."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.lower = LowerGRU(noise_dim)
        self.filter_network = FilterNetwork()

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Compute the gists, as `ContextEncoder.forward`."""
        i = self.lower(S, eps, g_0)  # (B, T, 128)
        filters = self.filter_network(i.flatten(0, 1))  # (B*T, 16, 64)
        return gist(filters, h_0.unsqueeze(1).expand_as(i).flatten(0, 1)).unflatten(0, S.shape[:2])


CONTEXTS: dict[Variant, type[nn.Module]] = {
    "storygan": ContextEncoder,
    "imagegan": ImageGANContext,
    "svc": SVCContext,
    "svfn": SVFNContext,
}
"""By variant, the class that computes the gists; its argument is `noise_dim`."""
