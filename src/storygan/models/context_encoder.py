"""The context encoder (paper, section 3.2): a GRU over the sentences below, Text2Gist above, one gist a frame.

A gist `o_t` is (128, 4, 4): 16 filters, each convolved with the 128 values of `h_t`, give 128 channels at the 16 cells
of a 4x4 map, which the image generator's first convolution takes as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.models.story_encoder import D

FILTERS, FILTER_LENGTH = 16, 64
"""The filter bank `[16, 1, 1, 64]` (paper, table of the filter network): out, in, height, width."""
CELLS = 4
"""A gist is a map of 4x4 cells, one for each filter."""


def gist(filters: Tensor, h: Tensor) -> Tensor:
    """`o_t = Filter(i_t) * h_t` (paper, equation 5): each filter convolved, 'same'-padded, with `h_t`.

    Written as pad, unfold and matrix product, which needs no grouped convolution (equal to `F.conv1d(padding="same")`
    story by story). The windows are copied: where they overlap in memory, the product takes 20 times as long.

    Args:
        filters: (N, 16, 64), the bank `[16, 1, 1, 64]` of each frame.
        h: (N, 128).

    Returns:
        (N, 128, 4, 4): position along `h` is the channel, filter is the cell.
    """
    left = (FILTER_LENGTH - 1) // 2
    windows = F.pad(h, (left, FILTER_LENGTH - 1 - left)).unfold(1, FILTER_LENGTH, 1).contiguous()  # (N, 128, 64)
    return (windows @ filters.mT).unflatten(2, (CELLS, CELLS))  # (N, 128, 16) -> (N, 128, 4, 4)


class FilterNetwork(nn.Module):
    """Linear + BN + Tanh, 128 -> 1024, read as the filter bank `[16, 1, 1, 64]`."""

    def __init__(self) -> None:
        super().__init__()
        size = FILTERS * FILTER_LENGTH
        self.layer = nn.Sequential(nn.Linear(D, size, bias=False), nn.BatchNorm1d(size), nn.Tanh())

    def forward(self, i: Tensor) -> Tensor:
        """(N, 128) `i_t` -> (N, 16, 64), values in (-1, 1)."""
        return self.layer(i).unflatten(1, (FILTERS, FILTER_LENGTH))


class LowerGRU(nn.Module):
    """The lower layer: Linear + BN + ReLU on `[s_t, eps_t]`, then a GRU cell; `g_0` starts it."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(D + noise_dim, D, bias=False), nn.BatchNorm1d(D), nn.ReLU())
        self.gru = nn.GRUCell(D, D)

    def forward(self, S: Tensor, eps: Tensor, g_0: Tensor) -> Tensor:
        """(B, T, 128) sentences, (B, T, noise_dim) noise, (B, 128) first state -> `i_1 .. i_T` as (B, T, 128)."""
        B, T, _ = S.shape
        inputs = self.layer(torch.cat([S, eps], dim=2).flatten(0, 1)).unflatten(0, (B, T))  # (B, T, 128)
        g_t, i = g_0, []
        for t in range(T):
            g_t = self.gru(inputs[:, t], g_t)
            i.append(g_t)
        return torch.stack(i, dim=1)


class Text2Gist(nn.Module):
    """The upper layer, the paper's Text2Gist cell (equations 2 to 5), which starts from the story context `h_0`.

    z_t = sig(W_z i_t + U_z h_{t-1} + b_z)
    r_t = sig(W_r i_t + U_r h_{t-1} + b_r)
    h_t = (1 - z_t) h_{t-1} + z_t tanh(W_h i_t + U_h (r_t h_{t-1}) + b_h)
    o_t = Filter(i_t) * h_t
    """

    def __init__(self) -> None:
        super().__init__()
        self.W_z, self.W_r, self.W_h = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)  # with b_z, b_r, b_h
        self.U_z, self.U_r, self.U_h = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.filter_network = FilterNetwork()

    def cell(self, i_t: Tensor, h: Tensor) -> Tensor:
        """`h_t` from `i_t` and `h_{t-1}`, each (B, 128)."""
        z_t = torch.sigmoid(self.W_z(i_t) + self.U_z(h))
        r_t = torch.sigmoid(self.W_r(i_t) + self.U_r(h))
        return (1 - z_t) * h + z_t * torch.tanh(self.W_h(i_t) + self.U_h(r_t * h))

    def forward(self, i: Tensor, h_0: Tensor) -> Tensor:
        """`i_1 .. i_T` (B, T, 128) and `h_0` (B, 128) -> the gists `o_1 .. o_T`, (B, T, 128, 4, 4)."""
        h_t, h = h_0, []
        for t in range(i.shape[1]):
            h_t = self.cell(i[:, t], h_t)
            h.append(h_t)
        filters = self.filter_network(i.flatten(0, 1))  # (B*T, 16, 64)
        return gist(filters, torch.stack(h, dim=1).flatten(0, 1)).unflatten(0, i.shape[:2])


class ContextEncoder(nn.Module):
    """GRU below, Text2Gist above: the sentences and the story context into one gist a frame."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.lower = LowerGRU(noise_dim)
        self.text2gist = Text2Gist()

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Sentences (B, T, 128), noise (B, T, noise_dim), `h_0` and `g_0` (B, 128) -> gists (B, T, 128, 4, 4)."""
        return self.text2gist(self.lower(S, eps, g_0), h_0)
