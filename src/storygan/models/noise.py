"""The noise a story is drawn from: the only thing that is random when a trained model draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.config import ModelConfig
from storygan.models.story_encoder import D
from storygan.types import require_seed


@dataclass
class Noise:
    """Noise for B stories: standard normal, but for an `eps` that lies on circles where `ModelConfig.noise` says so."""

    eps_0: Tensor
    """(B, 128): `eps` of `h_0 = mu(S) + sigma(S) * eps`."""
    eps: Tensor
    """(B, T, noise_dim): `eps_t`, which joins each sentence."""
    g_0: Tensor
    """(B, 128): first state of the lower GRU."""

    @classmethod
    def draw(cls, B: int, config: ModelConfig, generator: torch.Generator) -> Noise:
        """Draw for B stories, story after story: the noise of a story does not depend on how many follow it."""
        stories = [
            (
                torch.randn(D, generator=generator),
                torch.randn(config.T, config.noise_dim, generator=generator),
                torch.randn(D, generator=generator),
            )
            for _ in range(B)
        ]
        noise = cls(*(torch.stack(part) for part in zip(*stories, strict=True)))
        return replace(noise, eps=on_circles(noise.eps)) if config.noise == "circles" else noise

    @classmethod
    def pick(cls, draws: Sequence[Noise], chosen: Tensor) -> Noise:
        """Of several draws for the same B stories, each story's from the one that `chosen` (B,) int64 names."""
        rows = torch.arange(len(chosen), device=chosen.device)
        return cls(
            *(torch.stack(parts)[chosen, rows] for parts in zip(*(vars(d).values() for d in draws), strict=True))
        )

    def to(self, device: torch.device) -> Noise:
        """The same noise on another device."""
        return Noise(self.eps_0.to(device), self.eps.to(device), self.g_0.to(device))

    def __getitem__(self, rows: slice) -> Noise:
        """The noise of some of the stories."""
        return Noise(self.eps_0[rows], self.eps[rows], self.g_0[rows])

    def told_in(self, order: Tensor) -> Noise:
        """With each sentence's `eps_t` where `order` (B, T) int64 puts the sentence."""
        rows = torch.arange(len(order), device=order.device)[:, None]
        return Noise(self.eps_0, self.eps[rows, order], self.g_0)


def on_circles(eps: Tensor) -> Tensor:
    """Standard normal (..., 2k) -> the same directions two by two, each at a distance of sqrt(2)."""
    pairs = eps.unflatten(-1, (-1, 2))
    return (2**0.5 * F.normalize(pairs, dim=-1)).flatten(-2)


def seeded(seed: int) -> torch.Generator:
    """The generator that a user's seed stands for; UsageError where it can be none."""
    require_seed(seed)
    return torch.Generator().manual_seed(seed)
