"""The classifier: a small convolutional network that says what a frame shows.

At a place of a CLEVR-SV frame: is an object there, and of which size, colour, material and shape. It answers for every
place of the frame at once (a map of logits), so that a frame goes through the network once however many places are
asked; one that teaches may read how a cube there is turned, too. Of any frame: which of the K labels it shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.errors import StoryganError, reason
from storygan.files import atomic_write, parse_json, read_file, read_text
from storygan.seal import checked, seal
from storygan.text.clevr import ATTRIBUTES

SIZE = 64
"""Pixels: frames of another size are brought to it."""
SPLITS = [1, *(len(options) for options in ATTRIBUTES.values())]
"""Logits at a place: one for "an object is there", then one for each size, colour, material and shape."""
LOGITS = sum(SPLITS)
TURN = 2
"""Values at a place after the logits, where it reads turns: cosine and sine, a quarter being the whole circle."""
FEATURES = 96
THERE = 0.5
"""Probability from which an object counts as there."""
SETTINGS, WEIGHTS = "classifier.json", "classifier.safetensors"
MAX_LABELS, MAX_WEIGHTS = 10_000, 2**28
"""Names; bytes of its file of weights, which has 400 kB."""
SHIPPED = Path(__file__).parents[1] / "weights" / "classifier-clevr-sv"


@dataclass(frozen=True)
class Prediction:
    """What is at P places of each of B frames."""

    there: np.ndarray
    """(B, P) float32, the probability of an object."""
    words: np.ndarray
    """(B, P, 4) int64, the likeliest size, colour, material and shape: indices into `ATTRIBUTES`."""


class AttributeClassifier(nn.Module):
    """Frames -> a map of logits for places, K label logits, and the features these are made of.

    Args:
        labels: the K names of the labels.
        about: what it was trained on and how well it does; kept in its JSON file.
        turns: whether it reads how cubes are turned.
    """

    where: Tensor
    """(2, 64, 64): x and y of each pixel in [-1, 1], for a far object looks like a near small one."""

    def __init__(self, labels: Sequence[str], about: Mapping[str, Any] | None = None, turns: bool = False) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.about = dict(about or {})
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(2),
            *_block(3 * 4 + 2 * 4, 64),
            *_block(64, 64),
            *_block(64, 64, dilation=2),
        )
        self.around = nn.Sequential(*_block(64, 64, dilation=4))  # a large object is wider than what the trunk sees
        self.places = nn.Sequential(nn.Conv2d(64 + 2, 128, 1), nn.ReLU(), nn.Conv2d(128, LOGITS, 1))
        self.turns = (
            nn.Sequential(*_block(64 + 2, 64), *_block(64, 64, dilation=2), *_block(64, 64), nn.Conv2d(64, TURN, 1))
            if turns
            else None
        )
        self.frame = nn.Sequential(*_block(64, FEATURES, stride=2))
        self.label_head = nn.Linear(FEATURES, len(self.labels))
        line = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
        self.register_buffer("where", torch.stack(torch.meshgrid(line, line, indexing="xy")), persistent=False)

    @property
    def knows_places(self) -> bool:
        """Whether it was trained on CLEVR-SV sentences, and so on what is at which place."""
        return bool(self.about.get("places"))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at frames.

        Args:
            x: (B, 3, 64, 64) in [-1, 1].

        Returns:
            maps (B, 16, 32, 32) of logits for places, with 2 more of turns where it reads them; label logits (B, K);
            features (B, 96).
        """
        where = self.where.expand(len(x), -1, -1, -1)
        h = self.trunk(torch.cat([x, where], 1))  # (B, 64, 32, 32)
        h = h + self.around(h)
        placed = torch.cat([h, F.avg_pool2d(where, 2)], 1)
        maps = self.places(placed)
        if self.turns is not None:
            maps = torch.cat([maps, self.turns(placed)], 1)
        f = self.frame(h)  # (B, 96, 16, 16)
        return maps, self.label_head(f.amax((2, 3))), f.mean((2, 3))

    @torch.no_grad()
    def look(self, frames: np.ndarray) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """uint8 frames (B, H, W, 3) -> maps for `read`, label probabilities (B, K), features (B, 96)."""
        maps, labels, features = self(to_input(frames))
        return maps, labels.sigmoid().numpy(), features.numpy()

    def save(self, folder: str | Path) -> Path:
        """Write `classifier.json` and `classifier.safetensors` (half precision) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.half().contiguous() for name, tensor in self.state_dict().items() if tensor.dim()}
        atomic_write(folder / WEIGHTS, seal(save(state)))
        settings = {"labels": self.labels, "about": self.about, "turns": self.turns is not None}
        atomic_write(folder / SETTINGS, json.dumps(settings, indent=1) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path = SHIPPED) -> AttributeClassifier:
        """A saved classifier, or the shipped one for CLEVR-SV, ready to look.

        Raises:
            StoryganError: where the folder holds none, or a torn one.
        """
        folder = Path(folder)
        try:
            settings = parse_json(read_text(folder / SETTINGS))
            require_settings(**settings)
            state = load(checked(read_file(folder / WEIGHTS, MAX_WEIGHTS)))
            classifier = cls(**settings)
            classifier.load_state_dict(state, strict=False)
            if missing := {name for name, tensor in classifier.state_dict().items() if tensor.dim()} - set(state):
                raise ValueError(f"{sorted(missing)[0]} is missing")
        except Exception as error:  # whatever the readers raise on missing, torn or foreign files
            raise StoryganError(f"{folder} holds no classifier that can be used: {reason(error)}") from error
        return classifier.float().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_settings(labels: Any, about: Any = None, turns: Any = False) -> None:
    """Raise ValueError where the settings are not a classifier's: K names, and what it was trained on."""
    if not isinstance(labels, list) or len(labels) > MAX_LABELS or any(not isinstance(name, str) for name in labels):
        raise ValueError(f"its labels are not a list of up to {MAX_LABELS} names")
    if not isinstance(turns, bool):
        raise ValueError("whether it reads turns is neither true nor false")
    epochs = about.get("epochs", 0) if isinstance(about, dict) else 0 if about is None else None
    if not isinstance(epochs, int) or not 0 <= epochs < 10**9:
        raise ValueError("what it says of its training is not as storygan writes it")


def _block(channels: int, out: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, out, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU()]


def to_input(frames: np.ndarray) -> Tensor:
    """uint8 frames (B, H, W, 3) -> float32 (B, 3, 64, 64) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1).float() / 127.5 - 1
    return x if x.shape[2:] == (SIZE, SIZE) else F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def at_places(maps: Tensor, places: Tensor) -> Tensor:
    """Values at places: maps (B, C, 32, 32), picture coordinates (B, P, 2) in [0, 1] -> (B, P, C), bilinear."""
    found = F.grid_sample(maps, places[:, :, None] * 2 - 1, padding_mode="border", align_corners=False)
    return found[..., 0].swapaxes(1, 2)


def reading_loss(maps: Tensor, places: Tensor, there: Tensor, counts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """How far what maps (B, 16 or more, 32, 32) say is from the truth.

    Args:
        places: (B, P, 2) picture coordinates in [0, 1]; those of the story's T objects come first.
        there: (B, P) bool, an object is there.
        counts: (B, P) bool, which of the places are asked about.
        words: (B, T, 4) int64, the objects' size, colour, material and shape.

    Returns:
        Two cross-entropies >= 0: of "an object is there", and of the four words together where one of the T is.
    """
    is_there, *each = at_places(maps[:, :LOGITS], places).split(SPLITS, -1)
    T = words.shape[1]
    seen = there[:, :T]
    L_there = F.binary_cross_entropy_with_logits(is_there[..., 0][counts], there[counts].float())
    targets = words[seen].unbind(-1)
    L_words = [F.cross_entropy(logits[:, :T][seen], target) for logits, target in zip(each, targets, strict=True)]
    return L_there, torch.stack(L_words).sum()


def turn_loss(maps: Tensor, places: Tensor, turns: Tensor, counts: Tensor) -> Tensor:
    """How far the turns that maps (B, 18, 32, 32) say are from the truth.

    Args:
        places: (B, T, 2) picture coordinates in [0, 1].
        turns: (B, T, 2), cosine and sine.
        counts: (B, T) bool, where a cube is.

    Returns:
        The mean squared distance >= 0; 0 where there is no cube.
    """
    distances = (at_places(maps[:, LOGITS:], places) - turns).square().sum(-1)
    return (distances * counts).sum() / counts.sum().clamp(min=1)


@torch.no_grad()
def read(maps: Tensor, places: np.ndarray) -> Prediction:
    """What is at picture coordinates (B, P, 2) in [0, 1] of the frames that gave these maps."""
    there, *words = at_places(maps[:, :LOGITS], torch.from_numpy(places)).split(SPLITS, -1)
    chosen = torch.stack([logits.argmax(-1) for logits in words], -1)
    return Prediction(there[..., 0].sigmoid().numpy(), chosen.numpy())
