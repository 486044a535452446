"""What is measured of a model's noise, on models in which one source of it is cut off."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from storygan.config import ModelConfig
from storygan.evaluation import metrics as variety
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN

S = torch.randn(2, 4, 128, generator=torch.Generator().manual_seed(1))


class Context(nn.Module):
    """Gists that are what is asked for, so that it is known what they owe to what."""

    def __init__(self, *reads: str) -> None:
        super().__init__()
        self.reads = reads

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        sources = {"eps": eps[..., :1] + g_0[:, None, :1], "h_0": h_0[:, None, :1].expand(-1, 4, -1)}
        gist = sum((sources[name] for name in self.reads), torch.zeros(len(S), 4, 1))
        return gist[..., None, None].expand(-1, -1, 128, 4, 4)


def measured(*reads: str, sigma: bool = True) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(noise_dim=5)).eval()
    model.context_encoder = Context(*reads)  # type: ignore[assignment]
    if not sigma:
        nn.init.zeros_(model.story_encoder.log_sigma2.weight)
        nn.init.constant_(model.story_encoder.log_sigma2.bias, -50.0)
    return {name: metric.total / metric.weight for name, metric in variety.variety(model, S, seed=0).items()}


@pytest.mark.parametrize(
    ("reads", "sigma", "moved"),
    [
        ((), True, set()),
        (("eps",), True, {"diversity", "change_with_eps"}),
        (("h_0",), True, {"diversity", "change_with_eps_0", "change_with_h_0"}),
        (("h_0",), False, {"change_with_h_0"}),
        (("eps", "h_0"), True, {"diversity", "change_with_eps", "change_with_eps_0", "change_with_h_0"}),
    ],
)
def test_each_tells_of_its_own_source(reads: tuple[str, ...], sigma: bool, moved: set[str]) -> None:
    values = measured(*reads, sigma=sigma)
    assert {name.removesuffix("_rms_01") for name, value in values.items() if (value > 1e-5).all()} == moved
    assert all((value < 1e-6).all() for name, value in values.items() if name.removesuffix("_rms_01") not in moved)


def test_diversity_is_the_mean_over_all_pairs() -> None:
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(noise_dim=5)).eval()
    generator = seeded(3)
    with torch.no_grad():
        drawings = [(model(S, Noise.sample(2, model.config, generator))[0] + 1) / 2 for _ in range(4)]
    expected = [
        np.mean([float((a[n] - b[n]).square().mean().sqrt()) for a, b in combinations(drawings, 2)]) for n in range(2)
    ]
    assert variety.variety(model, S, seed=3)["diversity_rms_01"].total == pytest.approx(expected, rel=1e-4)


def test_rms_of_black_and_white_is_one() -> None:
    black, white = torch.zeros(2, 4, 3, 8, 8), torch.ones(2, 4, 3, 8, 8)
    assert variety.rms(black, white) == pytest.approx([1, 1])
