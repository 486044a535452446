"""Sentence encoders: frozen, deterministic functions from a sentence to the vector `s_t`.

A saved encoder is two files: `sentence_encoder.json` (its kind and settings) and `sentence_encoder.safetensors`. One
that takes any sentence has a third, `sentence_encoder.vocabulary.txt`: the words of its training sentences.
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

from storygan.errors import StoryganError, advice, reason
from storygan.files import atomic_write, parse_json, read_safetensors, read_text
from storygan.text.vocabulary import vocabulary_of

DIM = 128
"""Length of a sentence vector `s_t`, and of `h_0`, `i_t` and `h_t` (paper, section 4)."""
SETTINGS_FILE = "sentence_encoder.json"
TENSORS_FILE = "sentence_encoder.safetensors"
VOCABULARY_FILE = "sentence_encoder.vocabulary.txt"
"""One word a line, the most frequent first (`storygan.text.vocabulary`)."""
MAX_TENSORS = 16 * 2**20
"""Bytes of `sentence_encoder.safetensors`; ours have up to 200 kB."""
_KINDS = {
    "clevr": ("storygan.text.clevr_encoder", "ClevrEncoder"),
    "sentence": ("storygan.text.minilm_encoder", "MiniLMEncoder"),
}
"""By kind, module and class; imported on demand, so that one kind does not need another's libraries."""


class SentenceEncoder(ABC):
    """Maps sentences to vectors; equal sentences give equal vectors."""

    kind: ClassVar[str]
    vocabulary: tuple[str, ...] = ()
    """The content words of the training sentences, the most frequent first; empty if it is not known, or not needed."""

    @classmethod
    @abstractmethod
    def fit(cls, sentences: Sequence[str], cache: Path | None = None) -> Self:
        """Fit an encoder to training sentences.

        Args:
            sentences: all sentences of the training split.
            cache: folder in which an encoder may keep what it has computed for exactly these sentences.
        """

    @abstractmethod
    def encode(self, sentences: Sequence[str], cache: Path | None = None) -> np.ndarray:
        """Encode N sentences as float32 (N, 128), with about unit variance per dimension; `cache` as in `fit`.

        Raises:
            UsageError: the encoder cannot read a sentence.
        """

    def understand(self, story: Sequence[str], before: Sequence[str] = ()) -> list[str]:
        """Return the sentences that `encode` takes for the sentences of a user's story, which may be free text.

        Args:
            story: n sentences.
            before: sentences that come before them, as an earlier call has returned them.

        Raises:
            UsageError: a sentence is not understood.
        """
        return list(story)

    def missing(self) -> str:
        """Return the command that installs what the encoder lacks here; empty: nothing."""
        return ""

    @abstractmethod
    def settings(self) -> dict[str, int | float | str]:
        """Return the settings, as JSON can hold them."""

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays."""

    @classmethod
    @abstractmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        """Build an encoder from its settings and arrays. Raise KeyError or ValueError if they do not fit."""

    def save(self, folder: str | Path) -> None:
        """Write the two files into a folder, which is created if it does not exist. Each is replaced atomically."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / TENSORS_FILE, save(self.tensors()))
        atomic_write(folder / SETTINGS_FILE, json.dumps({"kind": self.kind, **self.settings()}, indent=2) + "\n")
        if self.vocabulary:
            save_vocabulary(folder, self.vocabulary)


def save_vocabulary(folder: Path, vocabulary: Sequence[str]) -> None:
    """Write the vocabulary into the folder of a saved encoder, atomically."""
    atomic_write(folder / VOCABULARY_FILE, "".join(f"{word}\n" for word in vocabulary))


def require_numbers(*arrays: np.ndarray) -> None:
    """Raise ValueError unless an encoder's arrays hold floating-point numbers up to 10^9.

    Ours are below 100; with larger ones, vectors would overflow.
    """
    for array in arrays:
        if array.dtype.kind != "f" or not (np.abs(array) <= 1e9).all():
            raise ValueError(f"an array of {array.dtype} has values that are not numbers up to 10^9")


def has_sentence_encoder(folder: str | Path) -> bool:
    """Return whether a folder holds a saved encoder."""
    return (Path(folder) / SETTINGS_FILE).exists()


def fit_sentence_encoder(
    kind: str, stories: Sequence[Sequence[str]], saved: str | Path | None = None, cache: Path | None = None
) -> SentenceEncoder:
    """Load the encoder in the folder `saved` if there is one, else fit one to training stories.

    A resumed run so keeps its encoder, and its vectors, even if MiniLM or the data have changed. The vocabulary of a
    loaded encoder is extended by the words of the stories.

    Raises:
        StoryganError: the saved encoder is broken or of another kind.
    """
    sentences = [sentence for story in stories for sentence in story]
    if saved is None or not has_sentence_encoder(saved):
        return _class_of(kind).fit(sentences, cache)
    encoder = load_sentence_encoder(saved)
    if encoder.kind != kind:
        raise StoryganError(f"{saved} holds a sentence encoder of kind {encoder.kind!r}, not {kind!r}")
    if encoder.vocabulary:
        encoder.vocabulary = tuple(dict.fromkeys((*vocabulary_of(sentences), *encoder.vocabulary)))
    return encoder


def load_sentence_encoder(folder: str | Path) -> SentenceEncoder:
    """Load the sentence encoder of any kind in a folder. Raise StoryganError if it is missing or broken."""
    path = Path(folder) / SETTINGS_FILE
    try:
        settings = parse_json(read_text(path))
        kind = settings.pop("kind")
        tensors = load(read_safetensors(Path(folder) / TENSORS_FILE, MAX_TENSORS))
        if kind not in _KINDS:
            raise ValueError(f"unknown kind {kind!r}; this version knows {', '.join(_KINDS)}")
        encoder = _class_of(kind).from_parts(settings, tensors)
        if (path := Path(folder) / VOCABULARY_FILE).exists():  # models of version 0.1 have none
            encoder.vocabulary = tuple(read_text(path).split())
        return encoder
    except FileNotFoundError as error:
        raise StoryganError(
            f"{folder} holds no {Path(error.filename or TENSORS_FILE).name}: name a model folder"
        ) from error
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise StoryganError(
            f"the sentence encoder in {folder} cannot be read ({reason(error)}){advice(error, 'fetch the model again')}"
        ) from error


def _class_of(kind: str) -> type[SentenceEncoder]:
    module, name = _KINDS[kind]
    return getattr(importlib.import_module(module), name)
