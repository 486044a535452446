"""The story encoder (paper, section 3.1 and equation 1)."""

from __future__ import annotations

from torch import Tensor, nn

D = 128
"""Length of a sentence vector `s_t`, of `h_0`, `i_t` and `h_t` (paper, section 4)."""


class StoryEncoder(nn.Module):
    """Story context `h_0 = mu(S) + sigma(S) * eps`, `eps ~ N(0, I)` (paper, equation 1)."""

    def __init__(self, T: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(D * T, D, bias=False), nn.BatchNorm1d(D), nn.ReLU())
        self.mu = nn.Linear(D, D)
        self.log_sigma2 = nn.Linear(D, D)

    def forward(self, S: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample the story context.

        Args:
            S: (B, T, 128) sentence vectors.
            eps: (B, 128) standard normal noise.

        Returns:
            `h_0`, `mu(S)` and `log sigma^2(S)`, each (B, 128).
        """
        hidden = self.layer(S.flatten(1))  # (B, T*128) -> (B, 128)
        mu, log_sigma2 = self.mu(hidden), self.log_sigma2(hidden)  # (B, 128)
        return mu + (0.5 * log_sigma2).exp() * eps, mu, log_sigma2
