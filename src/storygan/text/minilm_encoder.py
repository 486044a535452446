"""The encoder of plain English: MiniLM's 384 values, reduced to 128 by a PCA of the training sentences.

The 128 components of largest variance l_1 >= l_2 >= ... are rotated by a Hadamard matrix over sqrt(128). All its
entries have one size, so every dimension of the result has the same variance, (l_1 + ... + l_128)/128, which one factor
makes 1 over the training sentences. Distances stay those of the PCA up to this factor: weak components, which are
mostly noise, stay weak, and fewer than 128 different sentences are no trouble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Self

import numpy as np

from storygan.text.encoder import DIM, SentenceEncoder, require_numbers
from storygan.text.hadamard import hadamard
from storygan.text.minilm import EMBEDDING_DIM, HUB_ID, INSTALL, embed, minilm_folder, weights_digest
from storygan.types import StoryganError, UsageError


class MiniLMEncoder(SentenceEncoder):
    """English sentences -> (N,128). It is saved without MiniLM's weights, with their digest: others are refused."""

    kind = "sentence"

    def __init__(self, digest: str, mean: np.ndarray, projection: np.ndarray) -> None:
        if mean.shape != (EMBEDDING_DIM,) or projection.shape != (EMBEDDING_DIM, DIM):
            raise ValueError(f"mean and projection have shapes {mean.shape} and {projection.shape}")
        require_numbers(mean, projection)
        self.digest, self.mean, self.projection = digest, mean, projection

    @classmethod
    def fit(cls, sentences: Sequence[str]) -> Self:
        """The encoder for these training sentences; StoryganError where they are all the same."""
        if not sentences:
            raise StoryganError("there are no sentences to learn from")
        digest = weights_digest(minilm_folder())
        embeddings = _stack(sentences, digest)
        mean = embeddings.mean(0)
        variances, components = np.linalg.eigh(np.cov(embeddings - mean, rowvar=False, bias=True))  # ascending
        variances, components = variances[: -DIM - 1 : -1], components[:, : -DIM - 1 : -1]
        components *= np.sign(components[np.abs(components).argmax(0), range(DIM)])  # a component's sign is free
        variance = float(variances.clip(0).sum()) / DIM
        if variance < 1e-9:
            raise StoryganError("the training sentences are all the same: a model can learn nothing from them")
        projection = components @ hadamard(DIM) / (DIM * variance) ** 0.5
        return cls(digest, mean.astype(np.float32), projection.astype(np.float32))

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """N sentences -> (N,128) float32; StoryganError where MiniLM is needed and is not there."""
        # In float64 and row by row: a vector does not depend on which others are projected with it.
        return np.einsum("nk,kd->nd", _stack(sentences, self.digest) - self.mean, self.projection).astype(np.float32)

    def missing(self) -> str:
        return "" if find_spec("sentence_transformers") else INSTALL

    def settings(self) -> dict[str, int | float | str]:
        return {"embeddings": HUB_ID, "weights_sha256": self.digest}

    def tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "projection": self.projection}

    @classmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        return cls(str(settings["weights_sha256"]), tensors["mean"], tensors["projection"])


def _stack(sentences: Sequence[str], digest: str) -> np.ndarray:
    """N sentences -> float64 (N,384). UsageError where one is no text, for half a character has no embedding."""
    for text in sentences:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the sentence {text!r} has a byte that is not UTF-8, or half a character") from error
    found = embed(sentences, digest)
    return np.array([found[text] for text in sentences], dtype=np.float64).reshape(-1, EMBEDDING_DIM)
