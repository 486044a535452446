"""Toon-SV at any size: draw the stories that (seed, part, number) name into a folder of Parquet shards.

A story depends on its id, T and size alone: not on the worker, the order, how often the run was stopped or how many
stories were asked for. A shard appears whole or not at all, so a stopped run loses what its workers were at: seconds.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from storygan.data.schema import SPLITS, Story, shard_name, write_shard
from storygan.data.toon.art import draw_story
from storygan.data.toon.card import write_card
from storygan.data.toon.language import tell_story
from storygan.data.toon.world import LABELS, sample_story
from storygan.types import StoryganError, UsageError

STORIES_PER_SHARD = 200  # 4 MB at 5 frames of 64x64
MOST_STORIES = 10_000_000  # of a split
RENDERER = 1  # raise it when a story changes, so that one folder never mixes two renderers
PLAN = "render.json"
SIZES, FRAMES = (32, 512), (1, 20)
PARTS = ("train", "validation", "test-plain", "test-wording", "test-pair")  # the middle of a story_id; only ever append


@dataclass(frozen=True)
class Plan:
    """All that decides the contents of a folder; kept in it as render.json."""

    train: int
    validation: int = 0
    test: int = 0
    seed: int = 0
    T: int = 5
    size: int = 64
    renderer: int = RENDERER

    def ids(self, split: str) -> list[tuple[str, int]]:
        """(part, number) of every story of a split; half of the test split is plain, a quarter each the others."""
        total = getattr(self, split)
        parts = {split: total}
        if split == "test":
            parts = {"test-plain": total - 2 * (total // 4), "test-wording": total // 4, "test-pair": total // 4}
        return [(part, number) for part, count in parts.items() for number in range(count)]

    def shards(self) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """(file name, its stories): the small splits first."""
        for split in reversed(SPLITS):
            ids = self.ids(split)
            count = -(-len(ids) // STORIES_PER_SHARD)
            for index in range(count):
                start = index * STORIES_PER_SHARD
                yield shard_name(split, index, count), ids[start : start + STORIES_PER_SHARD]


@dataclass(frozen=True)
class Summary:
    """What a call did: stories drawn by it, stories that were there already, seconds."""

    drawn: int
    kept: int
    seconds: float


def render_toon(
    out: str | Path,
    train: int,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    T: int = 5,
    size: int = 64,
    workers: int | None = None,
) -> Summary:
    """Draw the stories that `out` lacks, and its card; T frames a story, of size x size pixels.

    `workers` processes (default: one a core; 1: this one). Raises UsageError for a plan that cannot be and
    StoryganError where `out` holds another plan.
    """
    plan = Plan(train, validation, test, seed, T, size)
    _require_sound(plan, workers)
    out = Path(out)
    _keep_plan(out, plan)
    started = time.monotonic()
    shards = list(plan.shards())
    missing = [(name, ids) for name, ids in shards if not (out / name).exists()]
    total, todo = (sum(len(ids) for _, ids in part) for part in (shards, missing))
    draw = partial(_write, out, plan)
    with tqdm(total=total * T, initial=(total - todo) * T, unit=" frames", desc=out.name, smoothing=0.05) as bar:
        for stories in _each(draw, missing, min(workers or os.cpu_count() or 1, len(missing))):
            bar.update(stories * T)
    write_card(out, asdict(plan))
    return Summary(todo, total - todo, time.monotonic() - started)


def make_story(part: str, number: int, seed: int = 0, T: int = 5, size: int = 64) -> Story:
    """Story `number` of a part: simulated, told and drawn; the same whenever it is made."""
    rng = np.random.default_rng([seed, PARTS.index(part), number])
    scenes = sample_story(rng, T, unseen_pair=part == "test-pair")
    sentences = tell_story(scenes, rng, unseen=part == "test-wording")
    frames = [_png(image) for image in draw_story(scenes, rng, size)]
    return Story(f"toon-{part}-{number:06d}", sentences, frames, [scene.labels() for scene in scenes])


def _write(out: Path, plan: Plan, shard: tuple[str, list[tuple[str, int]]]) -> int:
    name, ids = shard
    write_shard(out / name, [make_story(*story, plan.seed, plan.T, plan.size) for story in ids], LABELS)
    return len(ids)


def _each(draw: partial[int], shards: list[tuple[str, list[tuple[str, int]]]], workers: int) -> Iterator[int]:
    """Draw shards on several processes; yields the stories of each when it is on disk."""
    if workers <= 1:
        yield from map(draw, shards)
        return
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        stack.callback(pool.shutdown, cancel_futures=True)
        for done in as_completed([pool.submit(draw, shard) for shard in shards]):
            yield done.result()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # optimize=True would take longer than all the rest
    return buffer.getvalue()


def _require_sound(plan: Plan, workers: int | None) -> None:
    counts = (plan.train, plan.validation, plan.test)
    if min(counts) < 0 or sum(counts) == 0:
        raise UsageError("no story to draw: give a positive number of stories")
    if max(counts) > MOST_STORIES:
        raise UsageError(f"at most {MOST_STORIES:,} stories a split")
    if plan.seed < 0:
        raise UsageError(f"seed {plan.seed}: use 0 or more")
    if not FRAMES[0] <= plan.T <= FRAMES[1]:
        raise UsageError(f"{plan.T} frames: use {FRAMES[0]} to {FRAMES[1]}")
    if not SIZES[0] <= plan.size <= SIZES[1]:
        raise UsageError(f"size {plan.size}: use {SIZES[0]} to {SIZES[1]} pixels a side")
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: use 1 or more")


def _keep_plan(out: Path, plan: Plan) -> None:
    """Keep the plan in `out`, or compare it with the one that is there."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / PLAN
    if not path.exists():
        if any(out.glob("*.parquet")):
            raise StoryganError(f"{out} holds Parquet files that render-toon did not make: use another folder")
        temporary = out / f".{PLAN}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(asdict(plan), indent=1))
        temporary.replace(path)
        return
    try:
        there = asdict(Plan(**json.loads(path.read_text())))
    except (ValueError, TypeError) as error:
        raise StoryganError(f"{path} cannot be read: {out} is not a folder that render-toon made") from error
    for name, value in asdict(plan).items():
        if there[name] != value:
            raise StoryganError(f"{out} was begun with {name} {there[name]}, not {value}: use another folder")
