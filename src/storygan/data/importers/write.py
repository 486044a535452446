"""Stories into the shards of a split, however many they turn out to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from storygan.data.importers.summary import ImportSummary
from storygan.data.schema import Story, shard_name, write_shard

STORIES_PER_SHARD = 500


def write_split(
    folder: Path, split: str, stories: Iterable[Story], label_names: Sequence[str] | None, summary: ImportSummary
) -> None:
    """Write the stories to numbered shards in the folder, and count them in the summary."""
    stories = iter(stories)
    parts: list[Path] = []
    while chunk := list(islice(stories, STORIES_PER_SHARD)):
        parts.append(folder / f"{split}.part{len(parts)}")
        write_shard(parts[-1], chunk, label_names)
        summary.stories[split] = summary.stories.get(split, 0) + len(chunk)
        summary.frames += sum(len(story.frames) for story in chunk)
    for index, part in enumerate(parts):
        part.rename(folder / shard_name(split, index, len(parts)))
