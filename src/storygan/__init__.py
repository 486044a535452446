"""StoryGAN (Li et al., CVPR 2019): a story of T sentences in, a coherent sequence of T images out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storygan.errors import StoryganError
    from storygan.models.output import StoryOutput
    from storygan.models.storygan import StoryGAN, shipped_models
    from storygan.training.loop import train as train  # not in __all__: it needs an extra

__version__ = "0.2.0"
__all__ = ["StoryGAN", "StoryOutput", "StoryganError", "__version__", "shipped_models"]

_MODULES = {
    "StoryGAN": "storygan.models.storygan",
    "StoryOutput": "storygan.models.output",
    "StoryganError": "storygan.errors",
    "shipped_models": "storygan.models.storygan",
    "train": "storygan.training.loop",
}


def __getattr__(name: str) -> object:
    """Import torch only when somebody asks for what needs it (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'storygan' has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        if name != "train":
            raise
        message = f"storygan.train needs {error.name}: pip install 'storygan[train]'"
        raise ModuleNotFoundError(message, name=error.name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
