"""A split as training reads it: frames in one uint8 memory map, sentences and labels in memory.

The memory map (`frame_map`) is FOLDER/.cache/SPLIT-FINGERPRINT.npy, made on first use and again whenever the content of
the shards changes or the map is damaged. Where FOLDER cannot be written to, it goes to $XDG_CACHE_HOME/storygan.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from storygan.data.images import decode_frame, decode_mask
from storygan.data.schema import (
    NO_NUISANCE,
    NuisanceColumns,
    Story,
    label_names,
    nuisance_columns,
    read_rows,
    read_shard,
    shard_paths,
)
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_open, user_cache

MAX_CHECKED = 100_000
"""Stories that opening a map checks, evenly spread (4.9 GB at 4 frames of 64x64); of fewer, all."""


def build_frame_map(paths: list[Path], split: str, shape: tuple[int, int], file: Path) -> None:
    """Decode the frames of N stories of T (`shape`) into `file`, which appears whole or not at all.

    It writes by write(), not through the map: on a full disk that is an error, a store into a map kills the process.
    """
    n, t = shape
    size: int | None = None
    checks = []
    stories: Iterable[Story] = chain.from_iterable(map(read_shard, paths))  # a renderer may be adding other shards
    with atomic_open(file, file.with_name(f".{split}.partial")) as out:
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
            checks.append(zlib.crc32(frames.data))
        out.write(np.array(checks, "<u4").tobytes())


def open_frame_map(file: Path, shape: tuple[int, int]) -> np.memmap:
    """The frames of N stories of T (`shape`), read-only.

    Raises:
        ValueError: the file is cut short, or its content is not what was written.
    """
    n, t = shape
    try:
        frames = np.lib.format.open_memmap(file, mode="r")
    except Exception as error:  # a data set may bring one along, and its header is read as Python source
        raise ValueError(reason(error)) from error
    end = frames.offset + frames.nbytes
    if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[:2] != (n, t):
        raise ValueError(f"it holds {frames.dtype} {frames.shape}")
    if file.stat().st_size != end + 4 * n:
        raise ValueError("it is cut short, or without checksums")
    checks = np.fromfile(file, "<u4", offset=end)
    for row in np.unique(np.linspace(0, n - 1, min(n, MAX_CHECKED)).astype(int)):
        if zlib.crc32(frames[row].data) != checks[row]:
            raise ValueError(f"its story {row + 1} does not fit its checksum")
    return frames


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


ROWS_OF_TEXT = 4096
"""Stories whose sentences, labels and nuisance values are read at once."""


@dataclass(frozen=True)
class StoryDataset:
    """N stories of T frames of size x size pixels."""

    frames: np.ndarray  # (N,T,size,size,3) uint8: of `open_split`, a memory map that cannot be written to
    sentences: list[list[str]]  # N lists of T
    labels: np.ndarray | None  # (N,T,K) int8 of 0 and 1
    label_names: tuple[str, ...] | None  # K
    story_ids: list[str]
    fingerprint: str  # of the content of the split's shards, the same on every machine
    story_nuisance: np.ndarray | None = None  # (N,K) float32, standard normal over the data set
    frame_nuisance: np.ndarray | None = None  # (N,T,K') float32, as above; NaN where a sentence has no such value
    nuisance: NuisanceColumns = NO_NUISANCE  # the names of these values
    shards: np.ndarray | None = None  # (N,) int32: each story's shard, an index in the order of `shard_paths`
    masks: Callable[[], np.ndarray] | None = None  # all foreground masks, (N,T,bytes) uint8 of 8 pixels a byte

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

    @property
    def story_nuisance_names(self) -> tuple[str, ...] | None:
        """The names of the K values of `story_nuisance`."""
        return self.nuisance.story

    @property
    def frame_nuisance_names(self) -> tuple[str, ...] | None:
        """The names of the K' values of `frame_nuisance`."""
        return self.nuisance.frame

    @property
    def has_foreground(self) -> bool:
        """Whether the data set has foreground masks."""
        return self.masks is not None

    def foreground(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Give the foreground masks of B stories, bool (B,T,size,size): True where an object or character is shown.

        The first call decodes the masks of all stories and keeps them, one bit a pixel.

        Raises:
            UsageError: the data set has no masks.
            StoryganError: a mask is damaged or has not the size of a frame.
        """
        if self.masks is None:
            raise UsageError(
                "the data set has no foreground masks: `storygan data add-nuisance FOLDER` adds them to stories that "
                "storygan rendered"
            )
        packed = self.masks()[np.asarray(indices, dtype=np.intp)]
        bits = np.unpackbits(packed, axis=-1, count=self.size**2).view(bool)
        return bits.reshape(*packed.shape[:2], self.size, self.size)

    def subset(self, indices: Sequence[int] | np.ndarray) -> StoryDataset:
        """Give the data set of B of the stories, in this order, with their frames in memory."""
        rows = np.asarray(indices, dtype=np.intp)
        masks = self.masks

        def chosen(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return replace(
            self,
            frames=self.batch(rows),
            sentences=[self.sentences[row] for row in rows],
            labels=chosen(self.labels),
            story_ids=[self.story_ids[row] for row in rows],
            story_nuisance=chosen(self.story_nuisance),
            frame_nuisance=chosen(self.frame_nuisance),
            shards=chosen(self.shards),
            masks=None if masks is None else lambda: masks()[rows],
        )


def open_split(folder: str | Path, split: str) -> StoryDataset:
    """A split of a dataset folder; StoryganError where it is missing, broken, or its stories differ in T or size."""
    paths = shard_paths(folder, split)
    text = _read_text(paths)
    fingerprint = _fingerprint(paths)
    cache = _cache_folder(Path(folder))
    file = cache / f"{split}-{fingerprint}.npy"
    shape = (len(text.sentences), len(text.sentences[0]))
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
    masks = (
        functools.cache(functools.partial(_read_masks, paths, (*shape, frames.shape[2])))
        if text.nuisance.foreground
        else None
    )
    return StoryDataset(frames, **vars(text), fingerprint=fingerprint, masks=masks)


@dataclass
class _Text:
    """What a split holds beside frames and masks: fields of `StoryDataset`."""

    sentences: list[list[str]]
    labels: np.ndarray | None
    label_names: tuple[str, ...] | None
    story_ids: list[str]
    story_nuisance: np.ndarray | None
    frame_nuisance: np.ndarray | None
    nuisance: NuisanceColumns
    shards: np.ndarray


def _read_text(paths: list[Path]) -> _Text:
    """Read the shards without their frames and masks."""
    names, nuisance = label_names(paths[0]), nuisance_columns(paths[0])
    columns = ("story_id", "sentences", "labels", "story_nuisance", "frame_nuisance")
    rows: list[dict] = []
    shards: list[int] = []
    for index, path in enumerate(paths):
        if label_names(path) != names:
            raise StoryganError(f"{path} and {paths[0].name} name different labels: make the shards again")
        if nuisance_columns(path) != nuisance:
            raise StoryganError(
                f"{path} and {paths[0].name} have different nuisance columns: run `storygan data add-nuisance "
                f"{path.parent}`"
            )
        rows += read_rows(path, columns, ROWS_OF_TEXT)
        shards += [index] * (len(rows) - len(shards))
    if not rows:
        raise StoryganError(f"{paths[0].parent} has no story in the split {paths[0].name.split('-')[0]}")
    t = len(rows[0]["sentences"] or [])
    for row in rows:
        if not row["sentences"] or len(row["sentences"]) != t:
            has = len(row["sentences"] or [])
            raise StoryganError(f"story {row['story_id']!r} has {has} sentences, others {t}: a split has one T")

    def values(name: str, count: Sequence[str] | None, kind: type, *each: int) -> np.ndarray | None:
        """A column as an array (N, *each, count), null as NaN."""
        if count is None:
            return None
        try:
            array: np.ndarray = np.array([row[name] for row in rows], kind)
        except (ValueError, TypeError, OverflowError):
            array = np.empty(0)
        if array.shape != (len(rows), *each, len(count)) or np.isinf(array).any():
            wanted = " x ".join(map(str, (*each, len(count))))
            raise StoryganError(f"{paths[0].parent}: not every story has {wanted} {name}: check the dataset")
        return array

    story_nuisance = values("story_nuisance", nuisance.story, np.float32)
    if story_nuisance is not None and np.isnan(story_nuisance).any():
        raise StoryganError(f"{paths[0].parent}: a value of story_nuisance is no number: check the dataset")
    return _Text(
        sentences=[row["sentences"] for row in rows],
        labels=values("labels", names, np.int8, t),
        label_names=names,
        story_ids=[row["story_id"] for row in rows],
        story_nuisance=story_nuisance,
        frame_nuisance=values("frame_nuisance", nuisance.frame, np.float32, t),
        nuisance=nuisance,
        shards=np.array(shards, np.int32),
    )


def _read_masks(paths: list[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Decode the foreground masks of N stories of T frames of size x size pixels (`shape`): (N,T,bytes) uint8."""
    n, t, size = shape
    packed = np.empty((n, t, -(-(size**2) // 8)), np.uint8)
    rows = (row for path in paths for row in read_rows(path, ("story_id", "foreground")))
    for at, row in enumerate(tqdm(rows, total=n, desc="foreground masks", disable=None)):
        try:
            masks = np.array([decode_mask((mask or {}).get("bytes") or b"") for mask in row["foreground"] or []])
            if masks.shape != (t, size, size):
                raise ValueError(f"{masks.shape}, not {(t, size, size)}")
        except ValueError as error:
            raise StoryganError(f"story {row['story_id']!r}, foreground masks: {error}: check the dataset") from error
        packed[at] = np.packbits(masks.reshape(t, -1), axis=-1)
    return packed


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
