"""StoryGAN (Li et al., CVPR 2019): a story of T sentences in, a coherent sequence of T images out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0"
__all__ = ["StoryGAN", "StoryOutput", "StoryganError", "__version__"]

if TYPE_CHECKING:
    from storygan.errors import StoryganError
    from storygan.models.output import StoryOutput
    from storygan.models.storygan import StoryGAN

_MODULES = {
    "StoryGAN": "storygan.models.storygan",
    "StoryOutput": "storygan.models.output",
    "StoryganError": "storygan.errors",
}


def __getattr__(name: str) -> object:
    """Import torch only when somebody asks for what needs it (PEP 562)."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'storygan' has no attribute {name!r}")
