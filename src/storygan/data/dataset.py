"""A split as training reads it: frames in one uint8 memory map, sentences and labels in memory.

The memory map (`frame_map`) is FOLDER/.cache/SPLIT-FINGERPRINT.npy, made on first use and again whenever the content of
the shards changes or the map is damaged. Where FOLDER cannot be written to, it goes to $XDG_CACHE_HOME/storygan.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from storygan.data.frame_map import build_frame_map, open_frame_map
from storygan.data.schema import label_names, read_rows, shard_paths
from storygan.files import user_cache
from storygan.types import StoryganError

ROWS_OF_TEXT = 4096
"""Stories whose sentences and labels are read at once."""


@dataclass(frozen=True)
class StoryDataset:
    """N stories of T frames of size x size pixels."""

    frames: np.ndarray  # (N,T,size,size,3) uint8: of `open_split`, a memory map that cannot be written to
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
    shape = (len(sentences), len(sentences[0]))
    with FileLock(cache / f"{split}.lock"):  # of several processes that start at once, one builds
        try:
            frames = open_frame_map(file, shape)
        except ValueError as error:
            if file.exists():
                print(f"{file} is made again: {error}", file=sys.stderr)
            build_frame_map(paths, split, shape, file)
            for stale in set(cache.glob(f"{split}-*.npy")) - {file}:
                with contextlib.suppress(OSError):
                    stale.unlink()
            frames = open_frame_map(file, shape)
    return StoryDataset(frames, sentences, labels, names, story_ids, fingerprint)


def _read_text(paths: list[Path]) -> tuple[list[str], list[list[str]], np.ndarray | None, tuple[str, ...] | None]:
    """Story ids, sentences, labels and label names of the shards, without reading a frame."""
    names = label_names(paths[0])
    story_ids, sentences, labelled = [], [], []
    for path in paths:
        if label_names(path) != names:
            raise StoryganError(f"{path} and {paths[0].name} name different labels: make the shards again")
        for row in read_rows(path, ("story_id", "sentences", "labels"), ROWS_OF_TEXT):
            story_ids.append(row["story_id"])
            sentences.append(row["sentences"])
            labelled.append(row.get("labels"))
    if not story_ids:
        raise StoryganError(f"{paths[0].parent} has no story in the split {paths[0].name.split('-')[0]}")
    t = len(sentences[0] or [])
    for story_id, texts in zip(story_ids, sentences, strict=True):
        if not texts or len(texts) != t:
            raise StoryganError(f"story {story_id!r} has {len(texts or [])} sentences, others {t}: a split has one T")
    if names is None:
        return story_ids, sentences, None, None
    try:
        labels = np.array(labelled, dtype=np.int8)
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
    user = user_cache()
    own = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    for cache in (folder / ".cache", user / own):
        if cache.is_symlink():
            continue  # to files that are not this data set's
        with contextlib.suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            (cache / ".writable").touch()
            (cache / ".writable").unlink(missing_ok=True)
            return cache
    raise StoryganError(f"neither {folder / '.cache'} nor {user} can be written to: set XDG_CACHE_HOME to a folder")
