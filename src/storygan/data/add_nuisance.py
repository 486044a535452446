"""Add the nuisance columns to folders that were rendered before the renderers wrote them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from storygan.data.clevr import render as clevr
from storygan.data.clevr.nuisance import COLUMNS as CLEVR_COLUMNS
from storygan.data.images import decode_frame
from storygan.data.render_config import FILE, RenderConfig, read_render_config
from storygan.data.schema import (
    NuisanceColumns,
    Story,
    read_metadata,
    read_rows,
    read_shard,
    shard_paths,
    splits,
    write_shard,
)
from storygan.data.toon.nuisance import COLUMNS as TOON_COLUMNS
from storygan.errors import StoryganError, UsageError
from storygan.progress import tqdm


@dataclass(frozen=True)
class _Renderer:
    """The renderer of a folder's stories."""

    columns: NuisanceColumns
    parse_id: Callable[[str], tuple[Any, int] | None]
    """A story id -> seed or part, and number; None where another program wrote the id."""
    render: Callable[[Any, int, int, int], Story]
    """The result of `parse_id`, T and size -> the story as a new render writes it, with or without frames."""
    config: RenderConfig | None
    """The folder's render.json, where it has one."""
    write_card: Callable[[Path, Any], None]


def add_nuisance(folder: str | Path) -> int:
    """Add the nuisance columns to the shards of a folder, identical to those of a new render.

    Shards that have the columns are not changed. Each other shard is replaced atomically, with the same frames. Where
    the folder has a card and a render.json, the card is rewritten.

    Returns:
        The number of stories that got the columns.

    Raises:
        UsageError: a story is not one that storygan rendered.
        StoryganError: a shard cannot be read or written.
    """
    folder = Path(folder)
    paths = [path for split in splits(folder) for path in shard_paths(folder, split)]
    if not paths:
        raise StoryganError(f"{folder} holds no story shards: name another folder")
    lacking = [path for path in paths if read_metadata(path).nuisance not in (CLEVR_COLUMNS, TOON_COLUMNS)]
    ids = [row["story_id"] or "" for path in lacking for row in read_rows(path, ("story_id",))]
    if not ids:
        return 0
    renderer = _toon(folder) if ids[0].startswith("toon-") else _clevr(folder)
    numbers = {}
    for story_id in ids:  # before any shard is replaced
        if (parsed := renderer.parse_id(story_id)) is None:
            raise _foreign(story_id)
        numbers[story_id] = parsed
    with tqdm(total=len(ids), unit="story", desc=folder.name) as bar:
        for path in lacking:
            stories = []
            for story in read_shard(path):
                stories.append(_with_nuisance(story, numbers[story.story_id], renderer))
                bar.update()
            metadata = read_metadata(path)
            write_shard(path, stories, metadata.label_names, renderer.columns, metadata.aspect_ratio)
    if renderer.config and (folder / "README.md").exists():
        renderer.write_card(folder, renderer.config)
    return len(ids)


def _with_nuisance(story: Story, numbers: tuple[Any, int], renderer: _Renderer) -> Story:
    try:
        size = len(decode_frame(story.frames[0])) if story.frames else 0
    except ValueError as error:
        raise StoryganError(f"story {story.story_id!r}, frame 1: {error}: run `storygan data check`") from error
    rendered = renderer.render(*numbers, len(story.sentences), size)
    if rendered.sentences != story.sentences or (renderer.config is None and not _same_pixels(rendered, story)):
        raise _foreign(story.story_id)
    columns = ("story_nuisance", "frame_nuisance", "foreground")
    return replace(story, **{name: getattr(rendered, name) for name in columns})


def _same_pixels(rendered: Story, story: Story) -> bool:
    """Return whether the frames are equal; a story rendered without frames is not compared."""
    frames = zip(rendered.frames, story.frames, strict=bool(rendered.frames))
    return all(np.array_equal(decode_frame(one), decode_frame(two)) for one, two in frames)


def _foreign(story_id: str) -> UsageError:
    return UsageError(
        f"story {story_id!r} is not as `storygan data render-clevr` or `render-toon` writes it, so its nuisance "
        "variables are unknown: use stories of these commands"
    )


def _clevr(folder: Path) -> _Renderer:
    config = read_render_config(folder, clevr.ClevrConfig) if (folder / FILE).exists() else None
    return _Renderer(CLEVR_COLUMNS, clevr.parse_id, clevr.story_without_frames, config, clevr.write_card)


def _toon(folder: Path) -> _Renderer:
    from storygan.data.toon import render as toon  # it needs an extra

    config = read_render_config(folder, toon.ToonConfig) if (folder / FILE).exists() else None
    if config and config.renderer != toon.RENDERER:
        raise UsageError(
            f"renderer {config.renderer} drew {folder}, and renderer {toon.RENDERER} has other nuisance variables: "
            "render the stories again"
        )

    def render(part: str, number: int, T: int, size: int) -> Story:
        return toon.render_story(part, number, config.seed if config else 0, T, size)

    return _Renderer(TOON_COLUMNS, toon.parse_id, render, config, toon.write_card)
