"""What turns a sentence into the vector s_t: frozen, deterministic, saved in the model folder without pickle.

A saved encoder is two files: `sentence_encoder.json` (its kind and settings) and `sentence_encoder.safetensors`.
"""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from storygan.errors import StoryganError, reason
from storygan.files import atomic_write, parse_json, read_file, read_text
from storygan.seal import checked, seal

DIM = 128  # the length of s_t
SETTINGS_FILE = "sentence_encoder.json"
TENSORS_FILE = "sentence_encoder.safetensors"
MAX_TENSORS = 16 * 2**20  # bytes of its file; an encoder has up to 200 kB

# kind -> where its class is; imported only when asked for, so that one kind does not need another's libraries
_KINDS = {
    "clevr": ("storygan.text.clevr_encoder", "ClevrEncoder"),
    "sentence": ("storygan.text.minilm_encoder", "MiniLMEncoder"),
}


class SentenceEncoder(ABC):
    """Sentences in, vectors out; the same sentence always gives the same vector."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, sentences: Sequence[str]) -> Self:
        """The encoder for these training sentences."""

    @abstractmethod
    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """N sentences -> (N,128) float32 of about unit variance; UsageError names a sentence it cannot read."""

    def missing(self) -> str:
        """How to install what it needs and is not here; empty: nothing."""
        return ""

    @abstractmethod
    def settings(self) -> dict[str, int | float | str]:
        """What JSON can hold of the encoder."""

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the encoder."""

    @classmethod
    @abstractmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        """The encoder that had these settings and tensors; KeyError or ValueError where they do not fit."""

    def save(self, folder: str | Path) -> None:
        """Write the two files, each whole or not at all, into the folder, which is made where it does not exist."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / TENSORS_FILE, seal(save(self.tensors())))
        atomic_write(folder / SETTINGS_FILE, json.dumps({"kind": self.kind, **self.settings()}, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The encoder saved in the folder; StoryganError where it is missing, broken or of another kind."""
        encoder = load_sentence_encoder(folder)
        if not isinstance(encoder, cls):
            raise StoryganError(f"{folder} holds a sentence encoder of kind {encoder.kind!r}, not {cls.kind!r}")
        return encoder


def require_numbers(*arrays: np.ndarray) -> None:
    """Raise ValueError where an encoder's array holds anything but real numbers (float16 to float64) up to 10^9.

    Ours are below 100; of larger ones the vectors would not be finite.
    """
    for array in arrays:
        if array.dtype.kind != "f" or not (np.abs(array) <= 1e9).all():
            raise ValueError(f"an array of {array.dtype} is not of numbers up to 10^9")


def _class_of(kind: str) -> type[SentenceEncoder]:
    module, name = _KINDS[kind]
    return getattr(importlib.import_module(module), name)


def has_sentence_encoder(folder: str | Path) -> bool:
    """Return whether a folder holds a saved encoder."""
    return (Path(folder) / SETTINGS_FILE).exists()


def fit_sentence_encoder(
    kind: str, stories: Sequence[Sequence[str]], saved: str | Path | None = None
) -> SentenceEncoder:
    """The encoder of this kind for the stories that are trained on; the one in the folder `saved`, where one is there.

    A run that goes on with its own encoder sees the same vectors, whatever has become of MiniLM or of the data since.
    """
    if saved is not None and has_sentence_encoder(saved):
        return _class_of(kind).load(saved)
    return _class_of(kind).fit([sentence for story in stories for sentence in story])


def load_sentence_encoder(folder: str | Path) -> SentenceEncoder:
    """The sentence encoder, of whatever kind, saved in the folder; StoryganError where it is missing or broken."""
    path = Path(folder) / SETTINGS_FILE
    try:
        settings = parse_json(read_text(path))
        kind = settings.pop("kind")
        tensors = load(checked(read_file(Path(folder) / TENSORS_FILE, MAX_TENSORS)))
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}; this version knows {', '.join(_KINDS)}")
        return _class_of(kind).from_parts(settings, tensors)
    except FileNotFoundError as error:
        raise StoryganError(
            f"{folder} holds no {Path(error.filename or TENSORS_FILE).name}: give a model folder"
        ) from error
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise StoryganError(
            f"the sentence encoder in {folder} cannot be read ({reason(error)}): fetch the model again"
        ) from error
