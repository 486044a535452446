"""The frames of a split, decoded, in one file that is mapped into memory.

It is an ordinary .npy file, uint8 (N,T,size,size,3), with a CRC-32 of each story (N little-endian uint32) after the
array: numpy does not look there. Opening it checks the stories; with a file that is cut short, a store or a load
through the map would kill the process instead.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from storygan.data.images import decode_frame
from storygan.data.schema import Story, read_shard
from storygan.files import whole_file
from storygan.types import StoryganError, reason

MOST_CHECKED = 100_000
"""Stories that opening a map checks, evenly spread (4.9 GB at 4 frames of 64x64); of fewer, all."""


def build_frame_map(paths: list[Path], split: str, shape: tuple[int, int], file: Path) -> None:
    """Decode the frames of N stories of T (`shape`) into `file`, which appears whole or not at all.

    It writes by write(), not through the map: on a full disk that is an error, a store into a map kills the process.
    """
    n, t = shape
    size: int | None = None
    checks = []
    stories: Iterable[Story] = chain.from_iterable(map(read_shard, paths))  # a renderer may be adding other shards
    with whole_file(file, file.with_name(f".{split}.partial")) as out:
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
    for row in np.unique(np.linspace(0, n - 1, min(n, MOST_CHECKED)).astype(int)):
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
