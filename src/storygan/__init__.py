"""StoryGAN (Li et al., CVPR 2019): a story of T sentences in, a coherent sequence of T images out."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.2.0"
__all__ = ["StoryGAN", "StoryganError", "__version__"]

if TYPE_CHECKING:
    from storygan.errors import StoryganError
    from storygan.models.storygan import StoryGAN


def __getattr__(name: str) -> object:
    """Import torch only when somebody asks for the model (PEP 562)."""
    if name == "StoryGAN":
        from storygan.models.storygan import StoryGAN

        return StoryGAN
    if name == "StoryganError":
        from storygan.errors import StoryganError

        return StoryganError
    raise AttributeError(f"module 'storygan' has no attribute {name!r}")
