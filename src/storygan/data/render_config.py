"""The configuration of a rendered data set, kept in its folder as render.json so that a run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from storygan.data.schema import SPLITS, shard_name
from storygan.errors import MAX_SEED, StoryganError, UsageError, require_seed
from storygan.files import atomic_write, locked, parse_json, read_text

FILE = "render.json"
PARTIAL = ".partial"
"""Folder of locks and unfinished work within a data set folder; the last job removes it."""
STORIES_PER_SHARD = 200  # 5 MB at 4 frames of 64x64
MAX_VALUE = 10_000_000_000  # of any field but the seed
_SIZE_CATEGORIES = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", 1e7: "1M<n<10M"}
"""Limits of the hub's size categories."""


@dataclass(frozen=True)
class RenderConfig:
    """Everything that determines the contents of a folder. Each renderer has a subclass."""

    train: int
    validation: int = 0
    test: int = 0
    seed: int = 0
    T: int = 4
    size: int = 64
    """Pixels a side."""
    renderer: int = 0
    """Version of the renderer; it is raised when the pixels change."""

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of stories of each split."""
        return {split: getattr(self, split) for split in SPLITS}

    def stories(self, split: str) -> Sequence[Any]:
        """Return the numbers of the stories of a split, or what else the renderer identifies them by."""
        raise NotImplementedError

    def shards(self) -> Iterator[Shard]:
        """Yield the shards: test, validation, then train, so that the small splits are complete early."""
        for split in reversed(SPLITS):
            stories = self.stories(split)
            count = -(-len(stories) // STORIES_PER_SHARD)
            for index in range(count):
                part = stories[index * STORIES_PER_SHARD : (index + 1) * STORIES_PER_SHARD]
                yield Shard(shard_name(split, index, count), part)


class Shard(NamedTuple):
    """One Parquet file, and its part of `RenderConfig.stories`."""

    name: str
    stories: Sequence[Any]


@dataclass(frozen=True)
class Summary:
    """The outcome of a call: stories rendered by it, stories that already existed, seconds."""

    rendered: int
    existing: int
    seconds: float


Config = TypeVar("Config", bound=RenderConfig)


def require_valid(config: RenderConfig, max_stories: int, T: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise UsageError unless the values are in their ranges.

    Args:
        config: the configuration to check.
        max_stories: the largest number of stories of a split; there must be one story at least.
        T: smallest and largest number of frames.
        size: smallest and largest number of pixels a side.
    """
    if min(config.counts.values()) < 0 or not any(config.counts.values()):
        raise UsageError("no story to render: give a positive number of stories")
    if max(config.counts.values()) > max_stories:
        raise UsageError(f"too many stories: use at most {max_stories:,} per split")
    require_seed(config.seed)
    if not T[0] <= config.T <= T[1]:
        raise UsageError(f"{config.T} frames: use {T[0]} to {T[1]}")
    if not size[0] <= config.size <= size[1]:
        raise UsageError(f"size {config.size}: use {size[0]} to {size[1]} pixels a side")


def read_render_config(out: Path, kind: type[Config]) -> Config:
    """Read the configuration of a folder. Raises StoryganError where there is none."""
    try:
        values = parse_json(read_text(out / FILE))
        limits = {name: MAX_SEED if name == "seed" else MAX_VALUE for name in values}
        if any(type(value) is not int or not 0 <= value <= limits[name] for name, value in values.items()):
            raise ValueError("a value is out of range")
        return kind(**values)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoryganError(f"{out / FILE} cannot be read: {out} is no folder that storygan rendered") from error


def save_render_config(out: Path, config: RenderConfig) -> None:
    """Save the configuration in `out`, or compare it with the one there.

    Raises:
        UsageError: `out` is a file.
        StoryganError: `out` has another configuration, or Parquet files and none.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: name a folder")
    with locked(out, f"{PARTIAL}/{FILE}.lock", wait=True):  # two that start together have one configuration
        if (out / FILE).exists():
            saved = asdict(read_render_config(out, type(config)))
            for name, value in asdict(config).items():
                if saved[name] != value:
                    raise StoryganError(f"{out} was started with {name} {saved[name]}, not {value}: use another folder")
        elif any(out.glob("*.parquet")):
            raise StoryganError(f"{out} holds Parquet files that this command did not write: use another folder")
        else:
            atomic_write(out / FILE, json.dumps(asdict(config), indent=1))


@contextmanager
def locked_job(out: Path, i: int = 1, n: int = 1) -> Iterator[None]:
    """Hold the lock of job i of n in a folder. Jobs of another n must not run: they render the same stories.

    Raises:
        StoryganError: another process runs this job, or one of another n.
    """
    with locked(out, f"{PARTIAL}/{i}-of-{n}.lock"), ExitStack() as others:
        for path in (out / PARTIAL).glob("*-of-*.lock"):
            if not path.stem.endswith(f"-of-{n}"):
                others.enter_context(locked(out, f"{PARTIAL}/{path.name}"))
        others.close()
        yield


def card_fields(out: Path, config: RenderConfig) -> dict[str, Any]:
    """Return the fields of a data set card, from the configuration and the shards in `out`."""
    counts = {split: count for split, count in config.counts.items() if count}
    total = sum(counts.values())
    return {
        "files": "\n".join(f'      - split: {split}\n        path: "{split}-*.parquet"' for split in counts),
        "size_category": next((name for limit, name in _SIZE_CATEGORIES.items() if total < limit), "n>10M"),
        "counts": "\n".join(f"| {split} | {count:,} | {count * config.T:,} |" for split, count in counts.items()),
        "flags": " ".join(f"--{split} {count}" for split, count in counts.items()),
        "megabytes": sum(path.stat().st_size for path in out.glob("*.parquet")) / 1e6,
        **asdict(config),
    }
