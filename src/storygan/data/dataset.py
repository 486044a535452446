"""Open a split for training: frames in one uint8 memory map, everything else in memory.

The memory map is FOLDER/.cache/SPLIT-FINGERPRINT.npy. It is built on first use, and rebuilt where the shards change or
it is damaged. Where FOLDER is read-only, it goes to $XDG_CACHE_HOME/storygan.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from storygan.data.hub import resolve_dataset
from storygan.data.images import decode_frame, decode_mask
from storygan.data.schema import NO_NUISANCE, NuisanceColumns, Story, read_metadata, read_rows, read_shard, shard_paths
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_open, locked, open_regular, remove_temporaries, user_cache
from storygan.progress import tqdm

log = logging.getLogger(__name__)

MAX_VERIFIED = 100_000
"""Stories whose checksum is verified on opening, evenly spaced (4.9 GB at 4 frames of 64x64); of fewer, all."""
TEXT_BATCH = 4096
"""Stories whose sentences, labels and nuisance values are read at once."""


@dataclass(frozen=True)
class StoryDataset:
    """N stories of T frames of size x size pixels."""

    frames: np.ndarray  # (N,T,size,size,3) uint8: from `open_split`, a read-only memory map
    sentences: list[list[str]]  # N lists of T
    labels: np.ndarray | None  # (N,T,K) int8 of 0 and 1
    label_names: tuple[str, ...] | None  # K
    story_ids: list[str]
    fingerprint: str  # of the content of the split's shards, the same on every machine
    story_nuisance: np.ndarray | None = None  # (N,K) float32, standard normal over the data set
    frame_nuisance: np.ndarray | None = None  # (N,T,K') float32, as above; NaN where a sentence has no such value
    nuisance: NuisanceColumns = NO_NUISANCE  # the names of these values
    aspect_ratio: float = 1.0  # width by height at which to display a frame
    shards: np.ndarray | None = None  # (N,) int32: each story's shard, an index in the order of `shard_paths`
    masks: Callable[[], np.ndarray] | None = None  # all foreground masks, (N,T,bytes) uint8 of 8 pixels a byte

    def __len__(self) -> int:
        return len(self.story_ids)

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Return story k, from 0, as a dictionary: a map-style data set for `torch.utils.data.DataLoader`.

        `frames` is uint8 (T,size,size,3), `sentences` a list of T; with labels, `labels` is int8 (T,K).
        """
        if not -len(self) <= k < len(self):
            raise IndexError(k)
        item = {"story_id": self.story_ids[k], "sentences": self.sentences[k], "frames": self.batch([k])[0]}
        return item if self.labels is None else {**item, "labels": self.labels[k]}

    @property
    def T(self) -> int:
        return self.frames.shape[1]

    @property
    def size(self) -> int:
        return self.frames.shape[2]

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Copy the frames of B stories into memory: uint8 (B,T,size,size,3)."""
        return np.array(self.frames[np.asarray(indices, dtype=np.intp)])

    @property
    def has_foreground(self) -> bool:
        """Return whether the data set has foreground masks."""
        return self.masks is not None

    def foreground(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the foreground masks of B stories, bool (B,T,size,size): True where an object or character is visible.

        The first call decodes the masks of all stories and caches them, one bit a pixel.

        Raises:
            UsageError: the data set has no masks.
            StoryganError: a mask is damaged or is not of the size of a frame.
        """
        if self.masks is None:
            raise UsageError(
                "the data set has no foreground masks: `storygan data add-nuisance FOLDER` adds them to rendered "
                "stories of CLEVR-SV"
            )
        packed = self.masks()[np.asarray(indices, dtype=np.intp)]
        bits = np.unpackbits(packed, axis=-1, count=self.size**2).view(bool)
        return bits.reshape(*packed.shape[:2], self.size, self.size)

    def subset(self, indices: Sequence[int] | np.ndarray) -> StoryDataset:
        """Return the data set of B of the stories, in this order, with their frames in memory."""
        rows = np.asarray(indices, dtype=np.intp)
        masks = self.masks

        def select(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return replace(
            self,
            frames=self.batch(rows),
            sentences=[self.sentences[row] for row in rows],
            labels=select(self.labels),
            story_ids=[self.story_ids[row] for row in rows],
            story_nuisance=select(self.story_nuisance),
            frame_nuisance=select(self.frame_nuisance),
            shards=select(self.shards),
            masks=None if masks is None else lambda: masks()[rows],
        )


def open_split(folder: str | Path, split: str) -> StoryDataset:
    """Open a split of a data set.

    Args:
        folder: of the data set, or `hub:user/name` (`resolve_dataset`).
        split: train, validation or test.

    Raises:
        StoryganError: the split is missing or damaged, or its stories differ in T, size or columns.
    """
    folder = resolve_dataset(folder)
    paths = shard_paths(folder, split)
    fields = _read_text(paths)
    fingerprint = _fingerprint(paths)
    cache = _cache_folder(Path(folder))
    file = cache / f"{split}-{fingerprint}.npy"
    shape = (len(fields["sentences"]), len(fields["sentences"][0]))
    with locked(cache, f"{split}.lock", wait=True):  # of several processes that start together, one builds the map
        try:
            frames = open_frame_map(file, shape)
        except ValueError as error:
            if file.exists():
                log.warning(f"{file} is rebuilt: {error}")
            remove_temporaries(cache, f"{split}-*")
            build_frame_map(paths, split, shape, file)
            for stale in set(cache.glob(f"{split}-*.npy")) - {file}:
                with contextlib.suppress(OSError):
                    stale.unlink()
            frames = open_frame_map(file, shape)
    masks = None
    if fields["nuisance"].foreground:
        masks = functools.cache(functools.partial(_read_masks, paths, (*shape, frames.shape[2])))
    return StoryDataset(frames, **fields, fingerprint=fingerprint, masks=masks)


def build_frame_map(paths: list[Path], split: str, shape: tuple[int, int], file: Path) -> None:
    """Decode the frames of N stories of T (`shape`) into `file`, atomically.

    The frames are written with write(), not through a memory map: on a full disk, storing into a map kills the process.

    Raises:
        StoryganError: a frame is damaged or has another size than the others, or the disk is full.
    """
    n, t = shape
    size: int | None = None
    checksums = []
    stories: Iterable[Story] = chain.from_iterable(map(read_shard, paths))  # a renderer may be adding other shards
    with atomic_open(file) as out:
        for story in tqdm(stories, total=n, desc=f"frames of {split}"):
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
            checksums.append(zlib.crc32(frames.data))
        out.write(np.array(checksums, "<u4").tobytes())


def open_frame_map(file: Path, shape: tuple[int, int]) -> np.memmap:
    """Open the frames of N stories of T (`shape`), read-only: uint8 (N,T,size,size,3).

    Raises:
        ValueError: the file is missing or truncated, or a checksum does not match.
    """
    n, t = shape
    try:
        frames = np.lib.format.open_memmap(file, mode="r")
    except Exception as error:  # NumPy evaluates the header of a foreign file as a Python literal
        raise ValueError(reason(error)) from error
    end = frames.offset + frames.nbytes
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[:2] != (n, t):
        raise ValueError(f"it holds {frames.dtype} {frames.shape}")
    if file.stat().st_size != end + 4 * n:
        raise ValueError("it is truncated, or has no checksums")
    checksums = np.fromfile(file, "<u4", offset=end)
    for row in np.unique(np.linspace(0, n - 1, min(n, MAX_VERIFIED)).astype(int)):
        if zlib.crc32(frames[row].data) != checksums[row]:
            raise ValueError(f"the checksum of story {row + 1} does not match")
    return frames


def _decode(story_id: str, encoded: list[bytes]) -> np.ndarray:
    """Decode T frames to uint8 (T,H,W,3). Raises StoryganError with story and frame where one is damaged or differs."""
    frames = []
    for k, data in enumerate(encoded, start=1):
        try:
            frames.append(decode_frame(data))
        except ValueError as error:
            raise StoryganError(f"story {story_id!r}, frame {k}: {error}: run `storygan data check`") from error
        if frames[-1].shape != frames[0].shape:
            raise StoryganError(f"story {story_id!r}, frame {k} has another size than frame 1")
    return np.stack(frames) if frames else np.empty((0, 0, 0, 3), np.uint8)


def _read_text(paths: list[Path]) -> dict:
    """Read the shards without frames and masks, and return fields of `StoryDataset`."""
    metadata, folder = read_metadata(paths[0]), paths[0].parent
    columns = ("story_id", "sentences", "labels", "story_nuisance", "frame_nuisance")
    rows: list[dict] = []
    shards: list[int] = []
    for index, path in enumerate(paths):
        found = read_metadata(path)
        for name, value in vars(metadata).items():
            if getattr(found, name) != value:
                action = f"run `storygan data add-nuisance {folder}`" if name == "nuisance" else "create them again"
                raise StoryganError(f"{path} and {paths[0].name} differ in {name.replace('_', ' ')}: {action}")
        rows += read_rows(path, columns, TEXT_BATCH)
        shards += [index] * (len(rows) - len(shards))
    if not rows:
        raise StoryganError(f"{folder} has no story in the split {paths[0].name.split('-')[0]}")
    T = len(rows[0]["sentences"] or [])
    for row in rows:
        sentences = row["sentences"] or []
        if not sentences or len(sentences) != T:
            has = len(sentences)
            raise StoryganError(f"story {row['story_id']!r} has {has} sentences, others {T}: a split has one T")
        if None in sentences:
            raise StoryganError(f"story {row['story_id']!r} has a null sentence: run `storygan data check`")

    def values(name: str, names: Sequence[str] | None, dtype: type, *shape: int) -> np.ndarray | None:
        """Return a column as an array (N, *shape, len(names)), null as NaN."""
        if names is None:
            return None
        try:
            array: np.ndarray = np.array([row[name] for row in rows], dtype)
        except (ValueError, TypeError, OverflowError):
            array = np.empty(0)
        if array.shape != (len(rows), *shape, len(names)) or np.isinf(array).any():
            expected = " x ".join(map(str, (*shape, len(names))))
            raise StoryganError(f"{folder}: {name} is not {expected} finite values in every story")
        return array

    story_nuisance = values("story_nuisance", metadata.nuisance.story, np.float32)
    if story_nuisance is not None and np.isnan(story_nuisance).any():
        raise StoryganError(f"{folder}: story_nuisance has a value that is not a number")
    return dict(
        sentences=[row["sentences"] for row in rows],
        labels=values("labels", metadata.label_names, np.int8, T),
        label_names=metadata.label_names,
        story_ids=[row["story_id"] for row in rows],
        story_nuisance=story_nuisance,
        frame_nuisance=values("frame_nuisance", metadata.nuisance.frame, np.float32, T),
        nuisance=metadata.nuisance,
        aspect_ratio=metadata.aspect_ratio,
        shards=np.array(shards, np.int32),
    )


def _read_masks(paths: list[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Decode the foreground masks of N stories of T frames of size x size pixels (`shape`): (N,T,bytes) uint8."""
    n, t, size = shape
    packed = np.empty((n, t, -(-(size**2) // 8)), np.uint8)
    rows = (row for path in paths for row in read_rows(path, ("story_id", "foreground")))
    for index, row in enumerate(tqdm(rows, total=n, desc="foreground masks")):
        try:
            masks = np.array([decode_mask((mask or {}).get("bytes") or b"") for mask in row["foreground"] or []])
            if masks.shape != (t, size, size):
                raise ValueError(f"{masks.shape}, not {(t, size, size)}")
        except ValueError as error:
            raise StoryganError(f"story {row['story_id']!r}, foreground masks: {error}") from error
        packed[index] = np.packbits(masks.reshape(t, -1), axis=-1)
    return packed


def _fingerprint(paths: list[Path]) -> str:
    """Return 16 hex digits from the shards' names and content."""
    digest = hashlib.sha256(b"storygan uint8 frames 1\n")
    for path in paths:
        with open_regular(path) as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _cache_folder(folder: Path) -> Path:
    """Return FOLDER/.cache where it is writable, else a folder in the user's cache."""
    own = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    for parent, name in ((lambda: folder, ".cache"), (user_cache, own)):
        cache = parent() / name
        if cache.is_symlink():
            continue  # its target may belong to something else
        with contextlib.suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=cache).close()
            return cache
    raise StoryganError(f"neither {folder / '.cache'} nor {user_cache()} is writable: set XDG_CACHE_HOME to a folder")
