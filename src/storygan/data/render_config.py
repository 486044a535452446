"""What decides a folder of made stories: kept in it as render.json, so that a stopped run goes on and nothing mixes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from storygan.data.schema import SPLITS
from storygan.errors import MAX_SEED, StoryganError, UsageError, require_seed
from storygan.files import atomic_write, parse_json, read_text

FILE = "render.json"
MAX_OF_A_NUMBER = 10_000_000_000  # in a plan: stories, pixels; not the seed
_BUCKETS = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
"""The hub's names of sizes."""


@dataclass(frozen=True)
class Plan:
    """All that decides the contents of a folder. A maker of stories has its own, with its defaults and shards."""

    train: int
    validation: int
    test: int
    seed: int
    T: int
    size: int
    """Pixels a side."""
    renderer: int
    """Raised when the pixels change."""

    @property
    def counts(self) -> dict[str, int]:
        """Stories of each split."""
        return {split: getattr(self, split) for split in SPLITS}


@dataclass(frozen=True)
class Summary:
    """What a call did: stories made by it, stories that were there already, seconds."""

    made: int
    kept: int
    seconds: float


MadePlan = TypeVar("MadePlan", bound=Plan)


def require_workers(workers: int | None) -> None:
    """UsageError unless there is one, or the cores tell how many (None)."""
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: use 1 or more")


def require_sound(plan: Plan, most: int, T: tuple[int, int], size: tuple[int, int]) -> None:
    """UsageError unless a split has 0 to `most` stories, some has one, and T, size and seed are in their ranges."""
    if min(plan.counts.values()) < 0 or not any(plan.counts.values()):
        raise UsageError("no story to make: give a positive number of stories")
    if max(plan.counts.values()) > most:
        raise UsageError(f"at most {most:,} stories a split")
    require_seed(plan.seed)
    if not T[0] <= plan.T <= T[1]:
        raise UsageError(f"{plan.T} frames: use {T[0]} to {T[1]}")
    if not size[0] <= plan.size <= size[1]:
        raise UsageError(f"size {plan.size}: use {size[0]} to {size[1]} pixels a side")


def read_plan(out: Path, kind: type[MadePlan]) -> MadePlan:
    """The plan kept in a folder; StoryganError where there is none."""
    try:
        values = parse_json(read_text(out / FILE))
        most = {name: MAX_SEED if name == "seed" else MAX_OF_A_NUMBER for name in values}
        if any(type(value) is not int or not 0 <= value <= most[name] for name, value in values.items()):
            raise ValueError("what it plans are no numbers")
        return kind(**values)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoryganError(f"{out / FILE} cannot be read: storygan did not make {out}") from error


def keep_plan(out: Path, plan: Plan) -> None:
    """Keep the plan in `out`, or compare it with the one that is there.

    UsageError where `out` is a file; StoryganError where it was begun with another plan, or holds other files.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: name a folder")
    out.mkdir(parents=True, exist_ok=True)
    if (out / FILE).exists():
        there = asdict(read_plan(out, type(plan)))
        for name, value in asdict(plan).items():
            if (was := there[name]) != value:
                raise StoryganError(f"{out} was begun with {name} {was}, not {value}: use another folder")
    elif any(out.glob("*.parquet")):
        raise StoryganError(f"{out} holds Parquet files that this command did not make: use another folder")
    else:
        atomic_write(out / FILE, json.dumps(asdict(plan), indent=1))


def card_fields(out: Path, plan: Plan) -> dict[str, Any]:
    """What a data set card says of the plan (render.json) and of the shards in `out`."""
    there = {split: count for split, count in plan.counts.items() if count}
    total = sum(there.values())
    return {
        "files": "\n".join(f'      - split: {split}\n        path: "{split}-*.parquet"' for split in there),
        "bucket": next((name for limit, name in _BUCKETS.items() if total < limit), "n>10M"),
        "counts": "\n".join(f"| {split} | {count:,} | {count * plan.T:,} |" for split, count in there.items()),
        "flags": " ".join(f"--{split} {count}" for split, count in there.items()),
        "megabytes": sum(path.stat().st_size for path in out.glob("*.parquet")) / 1e6,
        **asdict(plan),
    }
