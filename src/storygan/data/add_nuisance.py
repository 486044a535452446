"""Add the nuisance columns to folders of CLEVR-SV that were rendered before the renderer wrote them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from storygan.data.clevr.nuisance import COLUMNS as CLEVR_COLUMNS
from storygan.data.clevr.render import ClevrConfig, parse_id, story_without_frames, write_card
from storygan.data.images import decode_frame
from storygan.data.render_config import FILE, read_render_config
from storygan.data.schema import Story, read_metadata, read_rows, read_shard, shard_paths, splits, write_shard
from storygan.data.toon.nuisance import COLUMNS as TOON_COLUMNS
from storygan.errors import StoryganError, UsageError
from storygan.progress import tqdm


def add_nuisance(folder: str | Path) -> int:
    """Add the nuisance columns to the shards of a CLEVR-SV folder, identical to those of a new render.

    Shards that have the columns are not changed. Each other shard is replaced atomically, with the same frames. Where
    the folder has a card and a render.json, the card is rewritten.

    Returns:
        The number of stories that got the columns.

    Raises:
        UsageError: a story is not one of `storygan data render-clevr`.
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
    config = read_render_config(folder, ClevrConfig) if (folder / FILE).exists() else None
    numbers = {}
    for story_id in ids:  # before any shard is replaced
        if (parsed := parse_id(story_id)) is None:
            raise _foreign(story_id)
        numbers[story_id] = parsed
    with tqdm(total=len(ids), unit="story", desc=folder.name) as bar:
        for path in lacking:
            stories = []
            for story in read_shard(path):
                stories.append(_with_nuisance(story, numbers[story.story_id]))
                bar.update()
            metadata = read_metadata(path)
            write_shard(path, stories, metadata.label_names, CLEVR_COLUMNS, metadata.aspect_ratio)
    if config and (folder / "README.md").exists():
        write_card(folder, config)
    return len(ids)


def _with_nuisance(story: Story, numbers: tuple[int, int]) -> Story:
    try:
        size = len(decode_frame(story.frames[0])) if story.frames else 0
    except ValueError as error:
        raise StoryganError(f"story {story.story_id!r}, frame 1: {error}: run `storygan data check`") from error
    rendered = story_without_frames(*numbers, len(story.sentences), size)
    if rendered.sentences != story.sentences:
        raise _foreign(story.story_id)
    columns = ("story_nuisance", "frame_nuisance", "foreground")
    return replace(story, **{name: getattr(rendered, name) for name in columns})


def _foreign(story_id: str) -> UsageError:
    return UsageError(
        f"story {story_id!r} is not as `storygan data render-clevr` writes it, so its nuisance variables are unknown: "
        "use stories of that command"
    )
