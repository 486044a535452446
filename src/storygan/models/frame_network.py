"""Small networks of frames, saved in a folder of their own: settings as JSON, and weights in half precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn

from storygan.errors import StoryganError, reason
from storygan.files import atomic_write, parse_json, read_text
from storygan.models.weights import SHIPPED, load_weights

SIZE = 64
"""Side of the input in pixels."""


class FrameNetwork(nn.Module):
    """A network with the files `NAME.json`, its `settings`, and `NAME.safetensors`.

    Args:
        about: training data and scores, saved with the network.
    """

    name: ClassVar[str]
    coordinates: Tensor
    """(2, 64, 64): x and y of each pixel in [-1, 1], as a distant large object looks like a near small one."""

    def __init__(self, about: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.about = dict(about or {})
        line = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
        self.register_buffer("coordinates", torch.stack(torch.meshgrid(line, line, indexing="xy")), persistent=False)

    def settings(self) -> dict[str, Any]:
        """Return the content of `NAME.json`."""
        raise NotImplementedError

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Build the network of the content of `NAME.json`. Raise ValueError if a value is not as `settings` has it."""
        raise NotImplementedError

    def save(self, folder: str | Path) -> Path:
        """Write both files into a folder, and return it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: tensor.half().contiguous() for key, tensor in self.state_dict().items() if tensor.dim()}
        atomic_write(folder / f"{self.name}.safetensors", save(state))
        atomic_write(folder / f"{self.name}.json", json.dumps(self.settings(), indent=1) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Self:
        """Load a saved network in evaluation mode; None: the shipped one for CLEVR-SV.

        Raises:
            StoryganError: the folder has none, or a broken one.
        """
        folder = Path(folder or SHIPPED / f"{cls.name}-clevr-sv")
        try:
            network = cls.from_settings(parse_json(read_text(folder / f"{cls.name}.json")))
            state = load_weights(folder / f"{cls.name}.safetensors")
            network.load_state_dict(state, strict=False)
            if missing := {key for key, tensor in network.state_dict().items() if tensor.dim()} - set(state):
                raise ValueError(f"{sorted(missing)[0]} is missing")
        except Exception as error:  # missing or foreign files make the libraries raise many kinds
            raise StoryganError(f"{folder} holds no {cls.name} that can be used: {reason(error)}") from error
        return network.float().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_words(name: str, value: object, limit: int) -> None:
    """Raise ValueError unless a setting is a list of up to `limit` texts."""
    if not isinstance(value, list) or len(value) > limit or any(not isinstance(word, str) for word in value):
        raise ValueError(f"{name} is not a list of up to {limit} names")
