"""Nuisance columns for folders of stories that were rendered before renderers wrote them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from storygan.data.clevr import card as clevr_card
from storygan.data.clevr import render as clevr
from storygan.data.clevr.nuisance import COLUMNS as CLEVR_COLUMNS
from storygan.data.images import decode_frame
from storygan.data.render_config import FILE, Plan, read_plan
from storygan.data.schema import (
    NuisanceColumns,
    Story,
    label_names,
    nuisance_columns,
    read_rows,
    read_shard,
    shard_paths,
    splits,
    write_shard,
)
from storygan.data.toon.nuisance import COLUMNS as TOON_COLUMNS
from storygan.errors import StoryganError, UsageError


@dataclass(frozen=True)
class _Renderer:
    """A renderer of the stories of a folder."""

    columns: NuisanceColumns
    read_id: Callable[[str], tuple[Any, int] | None]
    """A story id -> seed or part, and number; None where the id is another program's."""
    make: Callable[[Any, int, int, int], Story]
    """These two, T and size -> the story as a new render would write it, perhaps without its frames."""
    plan: Plan | None
    """That of render.json, where the folder has one."""
    write_card: Callable[[Path, Plan], None]


def add_nuisance(folder: str | Path) -> int:
    """Add the nuisance columns to the shards of a folder, the same as a new render would write.

    Shards that have the columns are left; each other one is replaced whole, with its frames as they are. Where the
    folder has a card and a render.json, the card is written anew.

    Returns:
        How many stories got the columns.

    Raises:
        UsageError: another program made a story, or its sentences were changed.
        StoryganError: a shard cannot be read or written.
    """
    folder = Path(folder)
    paths = [path for split in splits(folder) for path in shard_paths(folder, split)]
    if not paths:
        raise StoryganError(f"{folder} holds no story shards: name another folder")
    lacking = [path for path in paths if nuisance_columns(path) not in (CLEVR_COLUMNS, TOON_COLUMNS)]
    ids = [row["story_id"] or "" for path in lacking for row in read_rows(path, ("story_id",))]
    if not ids:
        return 0
    renderer = _toon(folder) if ids[0].startswith("toon-") else _clevr(folder)
    numbers = {}
    for story_id in ids:  # before a shard is replaced
        if (of := renderer.read_id(story_id)) is None:
            raise _foreign(story_id)
        numbers[story_id] = of
    with tqdm(total=len(ids), unit="story", desc=folder.name, disable=None) as bar:
        for path in lacking:
            stories = []
            for story in read_shard(path):
                stories.append(_with_nuisance(story, numbers[story.story_id], renderer))
                bar.update()
            write_shard(path, stories, label_names(path), renderer.columns)
    if renderer.plan and (folder / "README.md").exists():
        renderer.write_card(folder, renderer.plan)
    return len(ids)


def _with_nuisance(story: Story, numbers: tuple[Any, int], renderer: _Renderer) -> Story:
    try:
        size = len(decode_frame(story.frames[0])) if story.frames else 0
    except ValueError as error:
        raise StoryganError(f"story {story.story_id!r}, frame 1: {error}: check the dataset") from error
    made = renderer.make(*numbers, len(story.sentences), size)
    if made.sentences != story.sentences:
        raise _foreign(story.story_id)
    columns = ("story_nuisance", "frame_nuisance", "foreground")
    return replace(story, **{name: getattr(made, name) for name in columns})


def _foreign(story_id: str) -> UsageError:
    return UsageError(
        f"story {story_id!r} is not as `storygan data render-clevr` or `render-toon` makes it, so its nuisance "
        "variables are not known: take stories of these commands"
    )


def _clevr(folder: Path) -> _Renderer:
    plan = read_plan(folder, clevr.ClevrPlan) if (folder / FILE).exists() else None
    return _Renderer(CLEVR_COLUMNS, clevr.read_id, clevr.story_without_frames, plan, clevr_card.write_card)


def _toon(folder: Path) -> _Renderer:
    from storygan.data.toon import card, render  # they need an extra

    plan = read_plan(folder, render.ToonPlan) if (folder / FILE).exists() else None

    def make(part: str, number: int, T: int, size: int) -> Story:
        return render.make_story(part, number, plan.seed if plan else 0, T, size)

    return _Renderer(TOON_COLUMNS, render.read_id, make, plan, card.write_card)
