"""CLEVR-SV at any size: render the stories that (seed, number) name into a folder of Parquet shards.

The pixels of a story depend on (seed, story number, T, size) alone: not on the worker, the order or how often the run
was killed. Finished stories wait in OUT/.partial as one strip picture each until their shard is complete, so a killed
run loses at most the story that each worker was at.
"""

from __future__ import annotations

import queue
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image
from tqdm import tqdm

from storygan.cores import cores
from storygan.data.clevr.blender import Blender, render_python
from storygan.data.clevr.card import write_card
from storygan.data.clevr.nuisance import COLUMNS, nuisance_fields
from storygan.data.clevr.scene import MAX_OBJECTS, Scene, sample_scene
from storygan.data.images import encode_png
from storygan.data.render_config import Plan, Summary, keep_plan, read_plan, require_sound, require_workers
from storygan.data.schema import SPLITS, Story, open_shard, shard_name, write_shard
from storygan.errors import StoryganError, UsageError
from storygan.files import atomic_write
from storygan.text.clevr import LABELS, format_sentence, presence_labels

STORIES_PER_SHARD = 200  # 5 MB at 4 frames of 64x64; 64 MB are the limit
FIRST = {"train": 0, "validation": 10_000_000, "test": 20_000_000}  # story numbers: no split can run into another
RENDERER = 7  # raise it when the pixels change, so that one folder never mixes two renderers
SIZES = (16, 512)


@dataclass(frozen=True)
class ClevrPlan(Plan):
    """A plan's defaults and shards for CLEVR-SV."""

    validation: int = 0
    test: int = 0
    seed: int = 0
    T: int = 4
    size: int = 64
    renderer: int = RENDERER

    def shards(self) -> Iterator[Shard]:
        """Every shard: the small splits first, so that they are there when the training split starts to grow."""
        for split in reversed(SPLITS):
            total = getattr(self, split)
            count = -(-total // STORIES_PER_SHARD)
            for index in range(count):
                start = index * STORIES_PER_SHARD
                numbers = range(FIRST[split] + start, FIRST[split] + min(start + STORIES_PER_SHARD, total))
                yield Shard(shard_name(split, index, count), numbers)


@dataclass(frozen=True)
class Shard:
    """One Parquet file and the numbers of its stories."""

    name: str
    numbers: range


def render_clevr(
    out: str | Path,
    train: int,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    T: int = 4,
    size: int = 64,
    workers: int | None = None,
    shard: tuple[int, int] = (1, 1),
) -> Summary:
    """Render the stories that `out` lacks, and its card once it is complete.

    `workers` Blender processes of one thread each (default: one a core). `shard` (i, n), 1 <= i <= n: only every n-th
    Parquet file, for n jobs that share `out` or fill a folder each (then `merge_clevr`). Raises UsageError for a plan
    that cannot be or no worker, StoryganError when the render environment is missing, when `out` holds another plan or
    another process is at it, or when Blender dies.
    """
    plan = ClevrPlan(train, validation, test, seed, T, size)
    require_sound(plan, FIRST["validation"], (1, MAX_OBJECTS), SIZES)
    require_workers(workers)
    if not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"shard {shard[0]}/{shard[1]}: the first number counts from 1 to the second")
    render_python()
    out = Path(out)
    keep_plan(out, plan)
    with _alone(out, shard):
        return _render_missing(out, plan, workers or cores(), shard)


@contextmanager
def _alone(out: Path, shard: tuple[int, int]) -> Iterator[None]:
    """One process a job; StoryganError where another is at it."""
    lock = out / ".partial" / f"{shard[0]}-of-{shard[1]}.lock"
    lock.parent.mkdir(exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise StoryganError(
            f"another process renders shard {shard[0]}/{shard[1]} of {out}: wait for it, or end it"
        ) from error


def _render_missing(out: Path, plan: ClevrPlan, workers: int, shard: tuple[int, int]) -> Summary:
    started, (i, n) = time.monotonic(), shard
    mine = list(plan.shards())[i - 1 :: n]
    missing = [s for s in mine if not (out / s.name).exists()]
    tasks = [(s, number) for s in missing for number in s.numbers]
    todo = [(s, number) for s, number in tasks if not _strip_path(out, s, number).exists()]
    for s in missing:
        _strip_path(out, s, 0).parent.mkdir(parents=True, exist_ok=True)
        _finish(out, s, plan)  # a kill may fall between a shard's last story and its file
    kept = len(tasks) - len(todo)
    with tqdm(total=len(tasks) * plan.T, initial=kept * plan.T, unit=" frames", desc=out.name, disable=None) as bar:
        for s, _ in _render(out, plan, todo, workers):
            _finish(out, s, plan)
            bar.update(plan.T)
    if n == 1:
        _complete(out, plan)
    return Summary(len(todo), sum(len(s.numbers) for s in mine) - len(todo), time.monotonic() - started)


def merge_clevr(out: str | Path, parts: list[str | Path] | None = None) -> Summary:
    """Bring the folders of `--shard i/n` jobs together in `out`, check that no story is missing, write the card."""
    out, started = Path(out), time.monotonic()
    for part in map(Path, parts or []):
        keep_plan(out, read_plan(part, ClevrPlan))
        for path in sorted(part.glob("*.parquet")):
            if not (out / path.name).exists():
                atomic_write(out / path.name, path.read_bytes())
    plan = read_plan(out, ClevrPlan)
    _complete(out, plan)
    return Summary(0, sum(plan.counts.values()), time.monotonic() - started)


def require_complete(out: Path, plan: ClevrPlan) -> None:
    """StoryganError unless every shard is there with exactly the stories it should hold."""
    missing = []
    for shard in plan.shards():
        if not (out / shard.name).exists():
            missing.append(shard.name)
            continue
        with open_shard(out / shard.name) as file:
            ids = file.read(columns=["story_id"]).column(0).to_pylist()
        if ids != [story_id(plan.seed, number) for number in shard.numbers]:
            raise StoryganError(f"{out / shard.name} holds other stories than planned: delete it and render it again")
    if missing:
        raise StoryganError(f"{out} lacks {len(missing)} shards, the first is {missing[0]}: render them, then merge")


def _complete(out: Path, plan: ClevrPlan) -> None:
    require_complete(out, plan)
    shutil.rmtree(out / ".partial", ignore_errors=True)
    write_card(out, plan)


_scene = lru_cache(maxsize=2 * STORIES_PER_SHARD)(sample_scene)  # needed to draw a story and to write it


def story_id(seed: int, number: int) -> str:
    """`clevr-0-00000042` for story 42 of seed 0."""
    return f"clevr-{seed}-{number:08d}"


def read_id(story_id: str) -> tuple[int, int] | None:
    """Give the seed and the number that a story id names; None where the id is not one of ours."""
    match = re.fullmatch(r"clevr-(\d{1,19})-(\d{8,10})", story_id, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def scene_of(story_id: str, T: int) -> Scene | None:
    """The scene that a story of T frames shows, from its id; None where the id is not one of ours."""
    numbers = read_id(story_id)
    return _scene(*numbers, T) if numbers else None


def noise_seed(seed: int, number: int) -> int:
    """The seed of a story's path-tracing noise, the same for its T frames: 31 bits."""
    return int(np.random.SeedSequence([seed, number, 1]).generate_state(1)[0]) >> 1


def _render(out: Path, plan: ClevrPlan, todo: list[tuple[Shard, int]], workers: int) -> Iterator[tuple[Shard, int]]:
    """Render stories on several Blender processes; yields each when its strip is on disk."""
    tasks: queue.SimpleQueue[tuple[Shard, int]] = queue.SimpleQueue()
    for task in todo:
        tasks.put(task)
    done: queue.SimpleQueue[tuple[Shard, int] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()

    def serve(blender: Blender) -> None:
        try:
            while not stop.is_set():
                shard, number = tasks.get_nowait()
                scene = _scene(plan.seed, number, plan.T)
                frames = blender.render(scene, noise_seed(plan.seed, number))
                atomic_write(
                    _strip_path(out, shard, number),
                    encode_png(Image.fromarray(frames.reshape(-1, plan.size, 3)), optimize=False),
                )
                done.put((shard, number))
        except queue.Empty:
            pass
        except BaseException as error:  # the main thread raises it
            done.put(error)

    with ExitStack() as stack:
        threads: list[threading.Thread] = []
        stack.callback(_join, threads)  # after the ends of their processes: what one is writing, it writes whole
        for _ in range(min(workers, len(todo))):
            blender = stack.enter_context(Blender(plan.size))
            thread = threading.Thread(target=serve, args=(blender,), daemon=True)
            thread.start()
            threads.append(thread)
        stack.callback(stop.set)
        for _ in todo:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _finish(out: Path, shard: Shard, plan: ClevrPlan) -> None:
    """Write a shard's file if all its stories are there, and drop their strips."""
    folder = out / ".partial" / shard.name
    if len(list(folder.glob("*.png"))) < len(shard.numbers):
        return
    write_shard(out / shard.name, [_story(out, shard, number, plan) for number in shard.numbers], LABELS, COLUMNS)
    shutil.rmtree(folder)


def _story(out: Path, shard: Shard, number: int, plan: ClevrPlan) -> Story:
    with Image.open(_strip_path(out, shard, number)) as image:
        frames = np.asarray(image).reshape(plan.T, plan.size, plan.size, 3)
    return replace(story_without_frames(plan.seed, number, plan.T, plan.size), frames=[_png(f) for f in frames])


def story_without_frames(seed: int, number: int, T: int, size: int) -> Story:
    """Make all of a story but its frames; masks of size x size. UsageError: as `sample_scene`."""
    scene = _scene(seed, number, T)
    sentences, labels = [format_sentence(thing) for thing in scene.objects], presence_labels(scene.objects)
    return Story(story_id(seed, number), sentences, [], labels, **nuisance_fields(scene, seed, number, size))


def _strip_path(out: Path, shard: Shard, number: int) -> Path:
    return out / ".partial" / shard.name / f"{number:08d}.png"


def _png(pixels: np.ndarray) -> bytes:
    return encode_png(Image.fromarray(pixels), optimize=False)
