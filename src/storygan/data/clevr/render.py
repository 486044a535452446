"""Render CLEVR-SV stories into a folder of Parquet shards, in parallel and resumable.

The pixels of a story depend only on (seed, story number, T, size). Finished stories are kept in OUT/.partial, one
image strip each, until their shard is complete. So a killed run loses at most one story per worker.
"""

from __future__ import annotations

import queue
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.cores import cores
from storygan.data.clevr.blender import Blender, render_python
from storygan.data.clevr.nuisance import COLUMNS, nuisance_fields
from storygan.data.clevr.scene import MAX_OBJECTS, sample_scene
from storygan.data.images import IMAGE_ERRORS, encode_png, open_image
from storygan.data.render_config import (
    PARTIAL,
    STORIES_PER_SHARD,
    RenderConfig,
    Shard,
    Summary,
    card_fields,
    locked_job,
    read_render_config,
    require_valid,
    save_render_config,
)
from storygan.data.schema import Story, open_shard, write_shard
from storygan.errors import StoryganError, UsageError, advice, reason, require_threads
from storygan.files import atomic_write
from storygan.progress import tqdm
from storygan.text.clevr import LABELS, format_sentence, presence_labels

FIRST_NUMBER = {"train": 0, "validation": 10_000_000, "test": 20_000_000}  # of a split's stories: no two splits overlap
RENDERER = 7  # version; raise it when the pixels change, so that one folder never mixes two
SIZES = (16, 512)


@dataclass(frozen=True)
class ClevrConfig(RenderConfig):
    """The configuration of a CLEVR-SV folder."""

    renderer: int = RENDERER

    def stories(self, split: str) -> range:
        first = FIRST_NUMBER[split]
        return range(first, first + getattr(self, split))


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
    """Render the stories that are missing in `out`, then the data set card.

    Args:
        out: folder of the data set.
        train: number of training stories.
        validation: number of validation stories.
        test: number of test stories.
        seed: the same seed gives the same stories.
        T: frames per story.
        size: pixels a side.
        workers: number of single-threaded Blender processes; None: one per core.
        shard: (i, n), 1 <= i <= n: render only every n-th Parquet file. The n jobs share `out`, or write a folder each
            for `merge_clevr`.

    Raises:
        UsageError: an argument is out of range.
        StoryganError: there is no render environment, `out` has another configuration, another process renders the same
            shard, or Blender crashes.
    """
    config = ClevrConfig(train, validation, test, seed, T, size)
    require_valid(config, FIRST_NUMBER["validation"], (1, MAX_OBJECTS), SIZES)
    require_threads(workers or 0, "--workers")
    if not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"shard {shard[0]}/{shard[1]}: the first number must be from 1 to the second")
    render_python()
    out = Path(out)
    save_render_config(out, config)
    with locked_job(out, *shard):
        return _render_missing(out, config, workers or cores(), shard)


def _render_missing(out: Path, config: ClevrConfig, workers: int, job: tuple[int, int]) -> Summary:
    started, (i, n) = time.monotonic(), job
    shards = list(config.shards())[i - 1 :: n]
    missing = [shard for shard in shards if not (out / shard.name).exists()]
    tasks = [(shard, number) for shard in missing for number in shard.stories]
    todo = [(shard, number) for shard, number in tasks if not _strip_path(out, shard, number).exists()]
    for shard in missing:
        (out / PARTIAL / shard.name).mkdir(parents=True, exist_ok=True)
        _write_if_complete(out, shard, config)  # a run may be killed between a shard's last story and its file
    total, initial = (count * config.T for count in (len(tasks), len(tasks) - len(todo)))
    with tqdm(total=total, initial=initial, unit=" frames", desc=out.name) as bar:
        for shard, _ in _render(out, config, todo, workers):
            _write_if_complete(out, shard, config)
            bar.update(config.T)
    if n == 1:
        _finish(out, config)
    existing = sum(len(shard.stories) for shard in shards) - len(todo)
    return Summary(len(todo), existing, time.monotonic() - started)


def merge_clevr(out: str | Path, parts: list[str | Path] | None = None) -> Summary:
    """Copy the folders of `--shard i/n` jobs to `out` and write the card.

    Raises:
        StoryganError: the folders have different configurations, or a shard is missing or has other stories.
    """
    out, started = Path(out), time.monotonic()
    for part in map(Path, parts or []):
        save_render_config(out, read_render_config(part, ClevrConfig))
        for path in sorted(part.glob("*.parquet")):
            if not (out / path.name).exists():
                atomic_write(out / path.name, path.read_bytes())
    config = read_render_config(out, ClevrConfig)
    _finish(out, config)
    return Summary(0, sum(config.counts.values()), time.monotonic() - started)


def _finish(out: Path, config: ClevrConfig) -> None:
    """Check that every shard has exactly its stories, remove the strips and write the card."""
    missing = []
    for shard in config.shards():
        if not (out / shard.name).exists():
            missing.append(shard.name)
            continue
        with open_shard(out / shard.name) as file:
            ids = file.read(columns=["story_id"]).column(0).to_pylist()
        if ids != [story_id(config.seed, number) for number in shard.stories]:
            raise StoryganError(f"{out / shard.name} holds other stories than configured: delete it and render again")
    if missing:
        raise StoryganError(f"{out} lacks {len(missing)} shards, the first is {missing[0]}: render them, then merge")
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    write_card(out, config)


_scene = lru_cache(maxsize=2 * STORIES_PER_SHARD)(sample_scene)  # used to render a story and again to write it


def story_id(seed: int, number: int) -> str:
    """Return `clevr-0-00000042` for story 42 of seed 0."""
    return f"clevr-{seed}-{number:08d}"


def parse_id(story_id: str) -> tuple[int, int] | None:
    """Return the seed and number of a story id, or None where it has another format."""
    match = re.fullmatch(r"clevr-(\d{1,19})-(\d{8,10})", story_id, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def noise_seed(seed: int, number: int) -> int:
    """Return the seed of a story's path-tracing noise, the same for its T frames: 31 bits."""
    return int(np.random.SeedSequence([seed, number, 1]).generate_state(1)[0]) >> 1


def _render(out: Path, config: ClevrConfig, todo: list[tuple[Shard, int]], workers: int) -> Iterator[tuple[Shard, int]]:
    """Render stories on several Blender processes, and yield each when its strip is on disk."""
    idle: queue.SimpleQueue[Blender] = queue.SimpleQueue()  # as many as threads, so that none waits

    def render(shard: Shard, number: int) -> tuple[Shard, int]:
        blender = idle.get()
        try:
            frames = blender.render(_scene(config.seed, number, config.T), noise_seed(config.seed, number))
        finally:
            idle.put(blender)
        atomic_write(_strip_path(out, shard, number), _png(frames.reshape(-1, config.size, 3)))
        return shard, number

    with ExitStack() as stack:
        processes = min(workers, len(todo))
        pool = stack.enter_context(ThreadPoolExecutor(max(processes, 1)))  # a write in progress is completed
        for _ in range(processes):
            idle.put(stack.enter_context(Blender(config.size)))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for done in as_completed([pool.submit(render, *task) for task in todo]):
            yield done.result()


def _write_if_complete(out: Path, shard: Shard, config: ClevrConfig) -> None:
    """Write a shard and delete its strips, if all of its stories are rendered."""
    folder = out / PARTIAL / shard.name
    if len(list(folder.glob("*.png"))) < len(shard.stories):
        return
    stories = []
    for number in shard.stories:
        strip = _strip_path(out, shard, number)
        try:
            with open_image(strip, ("PNG",), config.T * config.size**2) as image:
                frames = np.asarray(image).reshape(config.T, config.size, config.size, 3)
        except IMAGE_ERRORS as error:
            action = advice(error, "delete it and render again")
            raise StoryganError(f"{strip} cannot be read ({reason(error)}){action}") from error
        story = story_without_frames(config.seed, number, config.T, config.size)
        stories.append(replace(story, frames=[_png(frame) for frame in frames]))
    write_shard(out / shard.name, stories, LABELS, COLUMNS, ASPECT)
    shutil.rmtree(folder)


def story_without_frames(seed: int, number: int, T: int, size: int) -> Story:
    """Return a story without its frames; masks are size x size. Raises UsageError as `sample_scene`."""
    scene = _scene(seed, number, T)
    sentences, labels = [format_sentence(thing) for thing in scene.objects], presence_labels(scene.objects)
    return Story(story_id(seed, number), sentences, [], labels, **nuisance_fields(scene, seed, number, size))


def _strip_path(out: Path, shard: Shard, number: int) -> Path:
    return out / PARTIAL / shard.name / f"{number:08d}.png"


def _png(pixels: np.ndarray) -> bytes:
    return encode_png(Image.fromarray(pixels), optimize=False)


def write_card(out: Path, config: ClevrConfig) -> None:
    """Write OUT/README.md, the data set card with the front matter that the Hugging Face hub reads."""
    atomic_write(out / "README.md", _CARD.format(**card_fields(out, config)))


_CARD = """---
pretty_name: CLEVR-SV (re-rendered)
license: mit
language: [en]
task_categories: [text-to-image]
tags: [story-visualization, clevr-sv, synthetic]
size_categories: [{size_category}]
configs:
  - config_name: default
    data_files:
{files}
---
# CLEVR-SV (re-rendered)

Stories of {T} sentences and {T} images of {size}x{size}. Each sentence adds one object to the scene. Frame k shows the
first k objects with the same camera and lights. It follows the data set of StoryGAN (Li et al., CVPR 2019) and CLEVR
(Johnson et al., CVPR 2017). storygan rendered every image with Blender's Cycles.

| split | stories | frames |
|---|---|---|
{counts}

{megabytes:.1f} MB of Parquet. Columns: `story_id`, `sentences` ({T} strings such as
`large red rubber cube at (2.18, -2.85)`), `frames` ({T} PNG images), `labels` ({T} x 15: which shapes, colours,
materials and sizes a frame shows), and the nuisance variables, which no sentence describes:

| column | shape | meaning | distribution |
|---|---|---|---|
| `story_nuisance` | 12 | jitter of camera, key, fill and back light, x, y and z each | standard normal |
| `frame_nuisance` | {T} x 2 | a cube's yaw from the camera's line of sight, times 4: cosine and sine, times a random \
radius; null for a sphere or cylinder | standard normal |
| `foreground` | {T} PNG masks | nonzero where a frame shows an object | |

Jitter is uniform, and stored as the standard normal value of the same rank. The schema metadata has, under `storygan`,
the names of labels and nuisance values, and `aspect_ratio`, 4/3: frames are 4:3 views resized to squares, so display
them with a width of 4/3 of the height.

```python
from datasets import load_dataset
stories = load_dataset("path/to/this/folder")
```

Created by `storygan data render-clevr OUT {flags} --seed {seed} --frames {T} --size {size}` (renderer {renderer}).
The same command gives the same images.
"""
