"""Frames of other systems: a folder of PNG files, or Parquet shards in the canonical form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from storygan.data.dataset import StoryDataset
from storygan.data.images import read_frame
from storygan.data.schema import read_rows, shard_paths, splits
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.baselines import METHODS
from storygan.progress import tqdm

Encoded = Sequence[Path | bytes]
"""The pictures of a story: T files or their contents."""
MAX_SIZES = 3
"""Sizes that a note names."""


def parse_systems(texts: Sequence[str]) -> dict[str, str]:
    """Parse `NAME=PATH` or `PATH`, whose last part is the name: by name, the path.

    Raises:
        UsageError: a name is not one, is given twice, or is a column of the table already.
    """
    systems: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = Path(text).stem, text
        require_name(name)
        if not path:
            raise UsageError(f"--frames {text}: give a folder or a Parquet file after the '='")
        if name in systems:
            raise UsageError(f"--frames has two systems {name!r}: give each a name, as in ours=FOLDER theirs=FOLDER")
        systems[name] = path
    return systems


def require_name(name: str) -> None:
    """Raise UsageError unless a name has letters, digits, '-', '_' and '.' only, and is no column of the table."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(f"{name!r} is no name: use letters, digits, '-', '_' and '.'")
    if name in METHODS:
        raise UsageError(f"{name!r} is a row of the tables already: give another name")


def read_system_frames(name: str, source: str | Path, dataset: StoryDataset, split: str) -> tuple[np.ndarray, str]:
    """Read a system's frames of N stories of T frames.

    Args:
        name: of the system, for messages.
        source: a folder with `STORY_ID/1.png` to `STORY_ID/T.png`, a Parquet file, or a folder of Parquet shards. Other
            stories in it are ignored.
        dataset: the N stories.
        split: of a folder of shards.

    Returns:
        Frames (N, T, size, size, 3) uint8 in the order of `dataset`, and a note on resized frames; empty: there are
        none.

    Raises:
        StoryganError: a story or a frame is missing, a story has another T, or a picture cannot be read.
    """
    path, size = Path(source), dataset.size
    index = {story_id: n for n, story_id in enumerate(dataset.story_ids)}
    if len(index) < len(dataset):
        raise StoryganError("the data set has two stories of one id: run `storygan data check`")
    frames = np.empty((len(dataset), dataset.T, size, size, 3), np.uint8)
    sizes: Counter[tuple[int, int]] = Counter()
    missing = dict.fromkeys(dataset.story_ids)
    stories = _stories(name, path, dataset, split)
    for story_id, encoded in tqdm(stories, desc=f"frames of {name}", total=len(dataset)):
        if story_id not in missing:
            raise StoryganError(f"{name} has two stories {story_id!r}: {path}")
        del missing[story_id]
        if len(encoded) != dataset.T:
            raise StoryganError(f"{name}, story {story_id!r} has {len(encoded)} frames, not {dataset.T}: {path}")
        for t, picture in enumerate(encoded):
            try:
                frames[index[story_id], t], found = read_frame(picture, size)
            except ValueError as error:
                raise StoryganError(f"{name}, story {story_id!r}, frame {t + 1} cannot be read: {error}") from error
            sizes[found] += 1
    if missing:
        raise StoryganError(f"{name} has no story {next(iter(missing))!r}: {path}")
    return frames, _size_note(name, sizes, size)


def _size_note(name: str, sizes: Counter[tuple[int, int]], size: int) -> str:
    """Return a note on the frames that were resized, or nothing."""
    others = {found: count for found, count in sizes.most_common() if found != (size, size)}
    if not others:
        return ""
    named = ", ".join(f"{width}x{height}" for width, height in list(others)[:MAX_SIZES])
    more = ", ..." if len(others) > MAX_SIZES else ""
    count, total = sum(others.values()), sum(sizes.values())
    return f"{name}: {count:,} of {total:,} frames resized to {size}x{size} pixels, from {named}{more}"


def _stories(name: str, path: Path, dataset: StoryDataset, split: str) -> Iterator[tuple[str, Encoded]]:
    """Yield the pictures of the stories of `dataset` that a source has, by id."""
    if path.is_dir() and not splits(path):
        for story_id in dataset.story_ids:
            yield story_id, _files(name, path, story_id, dataset.T)
    elif path.is_dir() or path.is_file():
        wanted = set(dataset.story_ids)
        for shard in [path] if path.is_file() else shard_paths(path, split):
            for row in read_rows(shard, ("story_id", "frames")):
                if row["story_id"] in wanted:
                    yield row["story_id"], _contents(name, row)
    else:
        raise StoryganError(f"{name}: there is no {path}: give a folder of PNG files or a Parquet file")


def _files(name: str, path: Path, story_id: str, T: int) -> list[Path]:
    """Return the T files of a story."""
    folder = path / story_id
    try:
        present = {file.name for file in folder.iterdir()}
    except (OSError, ValueError) as error:
        raise StoryganError(f"{name} has no story {story_id!r}: there is no folder {folder}") from error
    expected = [f"{t}.png" for t in range(1, T + 1)]
    for t, file in enumerate(expected, 1):
        if file not in present:
            raise StoryganError(f"{name}, story {story_id!r} has no frame {t}: there is no {folder / file}")
    if others := sorted(file for file in present - set(expected) if re.fullmatch(r"\d+\.png", file)):
        raise StoryganError(f"{name}, story {story_id!r} has {others[0]}, but the stories have {T} frames: {folder}")
    return [folder / file for file in expected]


def _contents(name: str, row: dict) -> list[bytes]:
    """Return the encoded frames of a row."""
    contents: list = [(image or {}).get("bytes") for image in row["frames"] or []]
    if None in contents:
        t = contents.index(None) + 1
        raise StoryganError(f"{name}, story {row['story_id']!r}, frame {t} has no bytes: embed the images")
    return contents
