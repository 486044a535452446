"""The context encoder (paper, section 3.2): a GRU over the sentences, and Text2Gist on top of it.

The gist `o_t` of a frame is a map (128, 4, 4): 16 filters, each convolved with the 128 values of `h_t`, give 128
channels at the 16 cells of a 4x4 map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.text.encoder import DIM

FILTERS, FILTER_LENGTH = 16, 64
"""The filter bank `[16, 1, 1, 64]` (paper, table of the filter network): out, in, height, width."""
GIST_SIZE = 4
"""Height and width of a gist. Each of its 16 cells has one filter."""


def gist(filters: Tensor, h: Tensor) -> Tensor:
    """Compute `o_t = Filter(i_t) * h_t` (paper, section 3.2): each filter convolved with `h_t`, 'same'-padded.

    Equals `F.conv1d(padding="same")` for each frame. Written as pad, unfold and matrix product, which needs no grouped
    convolution. `contiguous` copies the windows: where they overlap in memory, the product takes 20 times as long.

    Args:
        filters: (N, 16, 64), the filter bank of each frame.
        h: (N, 128).

    Returns:
        (N, 128, 4, 4): the position along `h` is the channel, the filter is the cell.
    """
    left = (FILTER_LENGTH - 1) // 2
    windows = F.pad(h, (left, FILTER_LENGTH - 1 - left)).unfold(1, FILTER_LENGTH, 1).contiguous()  # (N, 128, 64)
    return (windows @ filters.mT).unflatten(2, (GIST_SIZE, GIST_SIZE))  # (N, 128, 16) -> (N, 128, 4, 4)


class FilterNetwork(nn.Module):
    """Linear + BN + Tanh, 128 -> 1024, reshaped to the filter bank `[16, 1, 1, 64]`."""

    def __init__(self) -> None:
        super().__init__()
        size = FILTERS * FILTER_LENGTH
        self.layer = nn.Sequential(nn.Linear(DIM, size, bias=False), nn.BatchNorm1d(size), nn.Tanh())

    def forward(self, i: Tensor) -> Tensor:
        """Compute the filters, in (-1, 1): (N, 128) `i_t` -> (N, 16, 64)."""
        return self.layer(i).unflatten(1, (FILTERS, FILTER_LENGTH))


class LowerGRU(nn.Module):
    """The lower layer: Linear + BN + ReLU on `[s_t, eps_t]`, then a GRU cell with the initial state `g_0`."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(DIM + noise_dim, DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU())
        self.gru = nn.GRUCell(DIM, DIM)

    def forward(self, S: Tensor, eps: Tensor, g_0: Tensor) -> Tensor:
        """Compute `i_1 .. i_T`.

        Args:
            S: (B, T, 128) sentence vectors.
            eps: (B, T, noise_dim) noise.
            g_0: (B, 128) initial state.

        Returns:
            (B, T, 128).
        """
        B, T, _ = S.shape
        inputs = self.layer(torch.cat([S, eps], dim=2).flatten(0, 1)).unflatten(0, (B, T))  # (B, T, 128)
        g_t, i = g_0, []
        for t in range(T):
            g_t = self.gru(inputs[:, t], g_t)  # (B, 128)
            i.append(g_t)
        return torch.stack(i, dim=1)


class Text2Gist(nn.Module):
    """The upper layer, the Text2Gist cell (paper, section 3.2), with the initial state `h_0`.

    z_t = sigmoid(W_z i_t + U_z h_{t-1} + b_z)
    r_t = sigmoid(W_r i_t + U_r h_{t-1} + b_r)
    h_t = (1 - z_t) h_{t-1} + z_t tanh(W_h i_t + U_h (r_t h_{t-1}) + b_h)
    o_t = Filter(i_t) * h_t

    Products of vectors are elementwise; `*` is the convolution of `gist`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.W_z, self.W_r, self.W_h = (nn.Linear(DIM, DIM) for _ in range(3))  # with b_z, b_r, b_h
        self.U_z, self.U_r, self.U_h = (nn.Linear(DIM, DIM, bias=False) for _ in range(3))
        self.filter_network = FilterNetwork()

    def cell(self, i_t: Tensor, h_prev: Tensor) -> Tensor:
        """Compute `h_t` from `i_t` and `h_{t-1}`, each (B, 128)."""
        z_t = torch.sigmoid(self.W_z(i_t) + self.U_z(h_prev))
        r_t = torch.sigmoid(self.W_r(i_t) + self.U_r(h_prev))
        return (1 - z_t) * h_prev + z_t * torch.tanh(self.W_h(i_t) + self.U_h(r_t * h_prev))

    def forward(self, i: Tensor, h_0: Tensor) -> Tensor:
        """Compute the gists `o_1 .. o_T`.

        Args:
            i: (B, T, 128), `i_1 .. i_T`.
            h_0: (B, 128) story context.

        Returns:
            (B, T, 128, 4, 4).
        """
        h_t, h = h_0, []
        for t in range(i.shape[1]):
            h_t = self.cell(i[:, t], h_t)  # (B, 128)
            h.append(h_t)
        filters = self.filter_network(i.flatten(0, 1))  # (B*T, 16, 64)
        return gist(filters, torch.stack(h, dim=1).flatten(0, 1)).unflatten(0, i.shape[:2])


class ContextEncoder(nn.Module):
    """The context encoder: the GRU below, Text2Gist above."""

    def __init__(self, noise_dim: int) -> None:
        super().__init__()
        self.lower = LowerGRU(noise_dim)
        self.text2gist = Text2Gist()

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        """Compute the gist of every frame.

        Args:
            S: (B, T, 128) sentence vectors.
            eps: (B, T, noise_dim) noise.
            h_0: (B, 128) story context.
            g_0: (B, 128) initial state of the GRU.

        Returns:
            (B, T, 128, 4, 4).
        """
        i = self.lower(S, eps, g_0)  # (B, T, 128)
        return self.text2gist(i, h_0)
