"""From a model's name to the folder that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storygan.errors import StoryganError, reason

FILES = ["config.json", "model.safetensors", "sentence_encoder.*", "README.md"]
"""What is fetched from a hub; whatever else lies there stays there."""
SHIPPED = Path(__file__).parents[1] / "weights"


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(folder.parent.name for folder in SHIPPED.glob("*/config.json"))


def resolve_model(name: str | Path, **hub_options: Any) -> Path:
    """The folder of a shipped model, of a folder's path, or of a hub id, which is fetched.

    Raises:
        StoryganError: where there is none of that name.
    """
    if str(name) in shipped_models():
        return SHIPPED / str(name)
    if Path(name).is_dir():
        return Path(name)
    shipped = ", ".join(shipped_models())
    if str(name).count("/") != 1 or Path(name).is_absolute():
        raise StoryganError(f"no model {str(name)!r}: give a shipped one ({shipped}), a model folder or a hub id")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), **{"allow_patterns": FILES, **hub_options}))
    except Exception as error:
        raise StoryganError(f"no folder {str(name)!r}, and the hub does not give it: {reason(error)}") from error
