"""A split as training reads it: frames in one uint8 memory map, sentences and labels in memory.

The memory map is an ordinary .npy file, FOLDER/.cache/SPLIT-FINGERPRINT.npy, made on first use and again whenever the
content of the shards changes. Where FOLDER cannot be written to, it goes to $XDG_CACHE_HOME/storygan.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock
from tqdm import tqdm

from storygan.data.images import decode_frame
from storygan.data.schema import label_names, open_shard, read_shard, shard_paths
from storygan.types import StoryganError


@dataclass(frozen=True)
class StoryDataset:
    """N stories of T frames of size x size pixels."""

    frames: np.memmap  # (N,T,size,size,3) uint8, read-only
    sentences: list[list[str]]  # N lists of T
    labels: np.ndarray | None  # (N,T,K) int8 of 0 and 1
    label_names: tuple[str, ...] | None  # K
    story_ids: list[str]
    fingerprint: str  # of the content of the split's shards, the same on every machine

    def __len__(self) -> int:
        return len(self.story_ids)

    @property
    def T(self) -> int:
        return self.frames.shape[1]

    @property
    def size(self) -> int:
        return self.frames.shape[2]

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The frames of B stories, uint8 (B,T,size,size,3), copied into memory."""
        return np.array(self.frames[np.asarray(indices, dtype=np.intp)])


def open_split(folder: str | Path, split: str) -> StoryDataset:
    """A split of a dataset folder; StoryganError where it is missing, broken, or its stories differ in T or size."""
    paths = shard_paths(folder, split)
    story_ids, sentences, labels, names = _read_text(paths)
    fingerprint = _fingerprint(paths)
    cache = _cache_folder(Path(folder))
    file = cache / f"{split}-{fingerprint}.npy"
    with FileLock(cache / f"{split}.lock"):  # of several processes that start at once, one builds
        if not file.exists():
            _build(paths, split, (len(sentences), len(sentences[0])), file)
            for stale in set(cache.glob(f"{split}-*.npy")) - {file}:
                with contextlib.suppress(OSError):
                    stale.unlink()
        frames = np.lib.format.open_memmap(file, mode="r")
    return StoryDataset(frames, sentences, labels, names, story_ids, fingerprint)


def _read_text(paths: list[Path]) -> tuple[list[str], list[list[str]], np.ndarray | None, tuple[str, ...] | None]:
    """Story ids, sentences, labels and label names of the shards, without reading a frame."""
    names = label_names(paths[0])
    tables = []
    for path in paths:
        if label_names(path) != names:
            raise StoryganError(f"{path} and {paths[0].name} name different labels: make the shards again")
        with open_shard(path) as shard:
            columns = ["story_id", "sentences"] + ["labels"] * (names is not None)
            try:
                tables.append(shard.read(columns))
            except (pa.ArrowException, OSError, KeyError) as error:
                raise StoryganError(f"{path} is damaged ({str(error).splitlines()[0]}): make it again") from error
    table = pa.concat_tables(tables)
    story_ids, sentences = table["story_id"].to_pylist(), table["sentences"].to_pylist()
    if not story_ids:
        raise StoryganError(f"{paths[0].parent} has no story in the split {paths[0].name.split('-')[0]}")
    t = len(sentences[0] or [])
    for story_id, texts in zip(story_ids, sentences, strict=True):
        if not texts or len(texts) != t:
            raise StoryganError(f"story {story_id!r} has {len(texts or [])} sentences, others {t}: a split has one T")
    if names is None:
        return story_ids, sentences, None, None
    try:
        labels = np.array(table["labels"].to_pylist(), dtype=np.int8)
    except (ValueError, TypeError, OverflowError):
        labels = np.empty(0, np.int8)
    if labels.shape != (len(story_ids), t, len(names)):
        raise StoryganError(f"{paths[0].parent}: not every story has {t} x {len(names)} labels: check the dataset")
    return story_ids, sentences, labels, names


def _fingerprint(paths: list[Path]) -> str:
    """16 hex digits from the shards' names and content."""
    digest = hashlib.sha256(b"storygan uint8 frames 1\n")
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _cache_folder(folder: Path) -> Path:
    """FOLDER/.cache where it can be written to, else a folder of its own in the user's cache."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storygan"
    own = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    for cache in (folder / ".cache", user / own):
        with contextlib.suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            (cache / ".writable").touch()
            (cache / ".writable").unlink(missing_ok=True)
            return cache
    raise StoryganError(f"neither {folder / '.cache'} nor {user} can be written to: set XDG_CACHE_HOME to a folder")


def _build(paths: list[Path], split: str, shape: tuple[int, int], file: Path) -> None:
    """Decode the frames of N stories of T (`shape`) into `file`, which appears whole or not at all.

    It writes by write(), not through the map: on a full disk that is an error, a store into a map kills the process.
    """
    partial = file.with_name(f".{split}.partial")
    n, t = shape
    size: int | None = None
    try:
        with partial.open("wb") as out:
            stories = chain.from_iterable(map(read_shard, paths))  # these paths: a renderer may be adding others
            for story in tqdm(stories, total=n, desc=f"frames of {split}", disable=None):
                frames = _decode(story.story_id, story.frames)
                if size is None:
                    size = frames.shape[1]
                    header = {"descr": "|u1", "fortran_order": False, "shape": (n, t, size, size, 3)}
                    np.lib.format.write_array_header_1_0(out, header)
                if frames.shape != (t, size, size, 3):
                    raise StoryganError(
                        f"story {story.story_id!r} has frames {frames.shape}, others {(t, size, size, 3)}: "
                        "a split has one T and one square frame size"
                    )
                out.write(frames.tobytes())
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        raise StoryganError(f"the frame cache {file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _decode(story_id: str, encoded: list[bytes]) -> np.ndarray:
    """T encoded frames -> uint8 (T,H,W,3); StoryganError names the story and the frame that does not decode or fit."""
    frames = []
    for k, data in enumerate(encoded, start=1):
        try:
            frames.append(decode_frame(data))
        except ValueError as error:
            raise StoryganError(f"story {story_id!r}, frame {k}: {error}: check the dataset") from error
        if frames[-1].shape != frames[0].shape:
            raise StoryganError(f"story {story_id!r}, frame {k} has another size than frame 1: check the dataset")
    return np.stack(frames) if frames else np.empty((0, 0, 0, 3), np.uint8)
