"""Toon-SV at any size: draw the stories that (seed, part, number) name into a folder of Parquet shards.

A story depends on its id, T and size alone: not on the worker, the order, how often the run was stopped or how many
stories were asked for. A shard appears whole or not at all, so a stopped run loses what its workers were at: seconds.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from storygan.data.plan import Plan, Summary, keep_plan, require_sound
from storygan.data.schema import SPLITS, Story, shard_name, write_shard
from storygan.data.toon.art import draw_story
from storygan.data.toon.card import write_card
from storygan.data.toon.language import tell_story
from storygan.data.toon.world import LABELS, sample_story
from storygan.types import UsageError

STORIES_PER_SHARD = 200  # 4 MB at 5 frames of 64x64
MOST_STORIES = 10_000_000  # of a split
RENDERER = 1  # raise it when a story changes, so that one folder never mixes two renderers
SIZES, FRAMES = (32, 512), (1, 20)
PARTS = ("train", "validation", "test-plain", "test-wording", "test-pair")  # the middle of a story_id; only ever append


@dataclass(frozen=True)
class ToonPlan(Plan):
    """A plan's defaults, stories and shards for Toon-SV."""

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
    plan = ToonPlan(train, validation, test, seed, T, size)
    require_sound(plan, MOST_STORIES, FRAMES, SIZES)
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: use 1 or more")
    out = Path(out)
    keep_plan(out, plan)
    started = time.monotonic()
    shards = list(plan.shards())
    missing = [(name, ids) for name, ids in shards if not (out / name).exists()]
    total, todo = (sum(len(ids) for _, ids in part) for part in (shards, missing))
    draw = partial(_write, out, plan)
    with tqdm(total=total * T, initial=(total - todo) * T, unit=" frames", desc=out.name, smoothing=0.05) as bar:
        for stories in _each(draw, missing, min(workers or os.cpu_count() or 1, len(missing))):
            bar.update(stories * T)
    write_card(out, plan)
    return Summary(todo, total - todo, time.monotonic() - started)


def make_story(part: str, number: int, seed: int = 0, T: int = 5, size: int = 64) -> Story:
    """Story `number` of a part: simulated, told and drawn; the same whenever it is made."""
    rng = np.random.default_rng([seed, PARTS.index(part), number])
    scenes = sample_story(rng, T, unseen_pair=part == "test-pair")
    sentences = tell_story(scenes, rng, unseen=part == "test-wording")
    frames = [_png(image) for image in draw_story(scenes, rng, size)]
    return Story(f"toon-{part}-{number:06d}", sentences, frames, [scene.labels() for scene in scenes])


def _write(out: Path, plan: ToonPlan, shard: tuple[str, list[tuple[str, int]]]) -> int:
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
