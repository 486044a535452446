"""The story encoder (paper, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn

from storygan.text.encoder import DIM


class StoryEncoder(nn.Module):
    """Story context `h_0 = mu(S) + sigma(S) * eps_0`, `eps_0 ~ N(0, I)`, elementwise (paper, section 3.1)."""

    def __init__(self, T: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(DIM * T, DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU())
        self.mu = nn.Linear(DIM, DIM)
        self.log_sigma2 = nn.Linear(DIM, DIM)

    def forward(self, S: Tensor, eps_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample the story context.

        Args:
            S: (B, T, 128) sentence vectors.
            eps_0: (B, 128) standard normal noise.

        Returns:
            `h_0`, `mu(S)` and `log sigma^2(S)`, each (B, 128).
        """
        hidden = self.layer(S.flatten(1))  # (B, T*128) -> (B, 128)
        mu, log_sigma2 = self.mu(hidden), self.log_sigma2(hidden)  # (B, 128)
        return mu + (0.5 * log_sigma2).exp() * eps_0, mu, log_sigma2
