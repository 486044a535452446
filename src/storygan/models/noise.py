"""The noise of a story: all that is random when a trained model generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import SupportsIndex

import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.config import ModelConfig, NoiseDistribution
from storygan.errors import MAX_SEED, UsageError, require_seed
from storygan.text.encoder import DIM


@dataclass
class Noise:
    """Noise for B stories: standard normal; if `ModelConfig.noise` is `circle`, pairs of `eps` lie on a circle."""

    eps_0: Tensor
    """(B, 128): the noise in `h_0 = mu(S) + sigma(S) * eps_0`."""
    eps: Tensor
    """(B, T, noise_dim): `eps_t`, concatenated with each sentence vector."""
    g_0: Tensor
    """(B, 128): initial state of the lower GRU."""

    @classmethod
    def sample(cls, B: int, config: ModelConfig, generator: torch.Generator) -> Noise:
        """Sample noise for B stories, one story at a time: a story's noise does not depend on how many follow it."""
        stories = [
            (
                torch.randn(DIM, generator=generator),
                torch.randn(config.T, config.noise_dim, generator=generator),
                torch.randn(DIM, generator=generator),
            )
            for _ in range(B)
        ]
        noise = cls(*(torch.stack(part) for part in zip(*stories, strict=True)))
        return replace(noise, eps=on_circle(noise.eps)) if config.noise == "circle" else noise

    @classmethod
    def cat(cls, noises: Sequence[Noise]) -> Noise:
        """Concatenate the noise of stories of as many sentences."""
        return cls(*(torch.cat([getattr(noise, name) for noise in noises]) for name in ("eps_0", "eps", "g_0")))

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Noise:
        """Return the same noise on another device, or of another type."""
        return Noise(*(part.to(device, dtype) for part in (self.eps_0, self.eps, self.g_0)))

    def __getitem__(self, rows: slice) -> Noise:
        """Return the noise of some of the stories."""
        return Noise(self.eps_0[rows], self.eps[rows], self.g_0[rows])

    def permute(self, order: Tensor) -> Noise:
        """Return the noise of the same stories with their sentences in `order` (B, T) int64."""
        rows = torch.arange(len(order), device=order.device)[:, None]
        return Noise(self.eps_0, self.eps[rows, order], self.g_0)

    def couple(
        self, story_nuisance: Tensor | None, frame_nuisance: Tensor | None, distribution: NoiseDistribution
    ) -> Noise:
        """Replace the first values of `eps_0` and `eps_t` by nuisance values.

        Nuisance values are standard normal over the data set, so the distribution of the noise does not change.

        Args:
            story_nuisance: (B, K), K <= 128.
            frame_nuisance: (B, T, K), K <= noise_dim; where it is NaN, the sampled value stays.
            distribution: of `eps_t`; on `circle`, only the direction of a pair of values is kept.
        """
        eps_0, eps = self.eps_0, self.eps
        if story_nuisance is not None:
            eps_0 = torch.cat([story_nuisance, eps_0[:, story_nuisance.shape[1] :]], 1)
        if frame_nuisance is not None:
            K = frame_nuisance.shape[2]
            eps = torch.cat([torch.where(frame_nuisance.isnan(), eps[..., :K], frame_nuisance), eps[..., K:]], -1)
        return Noise(eps_0, on_circle(eps) if distribution == "circle" else eps, self.g_0)


def noise_of_length(B: int, n: int, config: ModelConfig, seed: int) -> Noise:
    """Sample the noise of B stories of n sentences; that of their first T does not depend on n.

    For t > T, `eps_t` is the last row of the noise that the same seed gives a story of t sentences. `editing.extend`
    does the same.
    """
    noise = Noise.sample(B, config, seeded(seed))
    eps = [noise.eps[:, :n]]
    for t in range(config.T + 1, n + 1):
        eps.append(Noise.sample(B, replace(config, T=t), seeded(seed)).eps[:, t - 1 :])
    return replace(noise, eps=torch.cat(eps, dim=1))


def on_circle(eps: Tensor) -> Tensor:
    """Scale each consecutive pair of standard normal values (..., K) to length sqrt(2). An odd last value stays."""
    even = eps.shape[-1] // 2 * 2
    pairs = (2**0.5 * F.normalize(eps[..., :even].unflatten(-1, (-1, 2)), dim=-1)).flatten(-2)
    return pairs if even == eps.shape[-1] else torch.cat([pairs, eps[..., even:]], -1)


def seeded(seed: int) -> torch.Generator:
    """Return a generator with a user's seed. Raise UsageError if the seed is out of range."""
    require_seed(seed)
    return torch.Generator().manual_seed(seed)


def seeds_of(B: int, seed: int | Sequence[int] | None, generator: torch.Generator | None) -> list[int]:
    """Return the seeds of B stories, from the arguments of `StoryGAN.generate`. Raise UsageError if they do not fit."""
    if generator is not None:
        if seed is not None:
            raise UsageError("give seed or generator, not both")
        return torch.randint(MAX_SEED, (B,), generator=generator, device=generator.device).tolist()
    if seed is None or isinstance(seed, SupportsIndex):
        return [index(seed or 0) + k for k in range(B)]
    if len(seed) != B:
        raise UsageError(f"{len(seed)} seeds for {B} stories: give one seed, or one for each story")
    return [index(each) for each in seed]
