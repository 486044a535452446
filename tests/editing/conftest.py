"""Small random models of every variant, and a story."""

import pytest
import torch

from storygan.config import VARIANTS, ModelConfig, Variant
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder

STORY = [
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2.3, -0.6)",
]


def random_model(variant: Variant) -> StoryGAN:
    """Untrained, with weights so large that every input shows in the pixels."""
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(variant, noise_dim=10), ClevrEncoder()).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data *= 5
    return model


MODELS = {
    variant: fuse_batch_norm(random_model(variant)) for variant in VARIANTS
}  # as the command line generates, and faster


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> StoryGAN:
    """Each variant in turn."""
    return MODELS[request.param]


@pytest.fixture
def storygan() -> StoryGAN:
    """The paper's model alone."""
    return MODELS["storygan"]


@pytest.fixture
def story() -> list[str]:
    return list(STORY)


@pytest.fixture(autouse=True)
def few_noise_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer noise samples in `attribute`, for speed."""
    monkeypatch.setattr("storygan.editing.attribution.NOISE_SAMPLES", 2)
