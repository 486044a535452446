"""Toon-SV at any size: draw the stories that (seed, part, number) name into a folder of Parquet shards.

A story depends on its id, T and size alone: not on the worker, the order, how often the run was stopped or how many
stories were asked for. A shard appears whole or not at all, so a stopped run loses what its workers were at: seconds.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
from tqdm import tqdm

from storygan.cores import cores
from storygan.data.images import encode_png
from storygan.data.render_config import Plan, Summary, keep_plan, require_sound, require_workers
from storygan.data.schema import SPLITS, Story, shard_name, write_shard
from storygan.data.toon.art import draw_story
from storygan.data.toon.card import write_card
from storygan.data.toon.language import tell_story
from storygan.data.toon.nuisance import COLUMNS, story_nuisance
from storygan.data.toon.world import LABELS, sample_story

STORIES_PER_SHARD = 200  # 4 MB at 5 frames of 64x64
MAX_STORIES = 10_000_000  # of a split
RENDERER = 2  # raise it when a story changes, so that one folder never mixes two renderers
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
    require_sound(plan, MAX_STORIES, FRAMES, SIZES)
    require_workers(workers)
    out = Path(out)
    keep_plan(out, plan)
    started = time.monotonic()
    shards = list(plan.shards())
    missing = [(name, ids) for name, ids in shards if not (out / name).exists()]
    total, todo = (sum(len(ids) for _, ids in part) for part in (shards, missing))
    draw = partial(_write, out, plan)
    with tqdm(total=total * T, initial=(total - todo) * T, unit=" frames", desc=out.name, disable=None) as bar:
        for stories in _each(draw, missing, min(workers or cores(), len(missing))):
            bar.update(stories * T)
    write_card(out, plan)
    return Summary(todo, total - todo, time.monotonic() - started)


def make_story(part: str, number: int, seed: int = 0, T: int = 5, size: int = 64) -> Story:
    """Story `number` of a part: simulated, told and drawn; the same whenever it is made."""
    rng = np.random.default_rng([seed, PARTS.index(part), number])
    scenes = sample_story(rng, T, unseen_pair=part == "test-pair")
    sentences = tell_story(scenes, rng, unseen=part == "test-wording")
    nuisance = story_nuisance(scenes[0].place, copy.deepcopy(rng))
    # to optimize would take longer than all the rest
    frames, masks = (
        [encode_png(image, optimize=False) for image in images]
        for images in zip(*draw_story(scenes, rng, size), strict=True)
    )
    return Story(
        f"toon-{part}-{number:06d}",
        sentences,
        frames,
        [scene.labels() for scene in scenes],
        story_nuisance=nuisance,
        foreground=masks,
    )


def read_id(story_id: str) -> tuple[str, int] | None:
    """Give the part and the number that a story id names; None where the id is not one of ours."""
    match = re.fullmatch(rf"toon-({'|'.join(PARTS)})-(\d{{6,8}})", story_id, re.ASCII)
    return (match[1], int(match[2])) if match else None


_stop: Event | None = None
"""In a worker: set when its parent wants no more of it."""


def _write(out: Path, plan: ToonPlan, shard: tuple[str, list[tuple[str, int]]]) -> int:
    name, ids = shard
    stories = []
    for part, number in ids:
        if _stop and _stop.is_set():
            return 0
        stories.append(make_story(part, number, plan.seed, plan.T, plan.size))
    write_shard(out / name, stories, LABELS, COLUMNS)
    return len(ids)


def _each(draw: partial[int], shards: list[tuple[str, list[tuple[str, int]]]], workers: int) -> Iterator[int]:
    """Draw shards on several processes; yields the stories of each when it is on disk.

    Whatever ends this, the workers end within a story, and a shard that one is writing is written.
    """
    if workers <= 1:
        yield from map(draw, shards)
        return
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        stop = context.Event()
        pool = ProcessPoolExecutor(workers, context, _start_worker, (stop,))
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(stop.set)
        with _signals_blocked():  # in the workers for good: a signal to all is the parent's to answer
            drawings = [pool.submit(draw, shard) for shard in shards]
        for done in as_completed(drawings):
            yield done.result()


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed can tell its workers nothing."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """SIGTERM and Ctrl-C wait until the block ends; in processes that are started in it, for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
