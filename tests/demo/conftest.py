"""A small model and a story."""

import pytest
import torch

from storygan.config import ModelConfig
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder

STORY = (
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2.3, -0.6)",
)


@pytest.fixture(scope="session")
def model() -> StoryGAN:
    """Return an untrained model of four frames."""
    torch.manual_seed(0)
    return StoryGAN(ModelConfig(noise_dim=10), ClevrEncoder()).eval()
