"""Stories as text, for other systems to generate."""

from __future__ import annotations

import json
from pathlib import Path

from storygan.data.schema import read_rows, shard_paths
from storygan.files import atomic_open
from storygan.text.describe import describe_story


def write_prompts(data: str | Path, split: str, out: str | Path) -> int:
    """Write one JSON line a story, in stored order: `id`, T `sentences`, and T `english`, without coordinates.

    In the stories of CLEVR-SV, `english` describes each object and its place in words. In other stories it repeats
    the sentences.

    Args:
        data: folder of the data set.
        split: of the data set.
        out: file to write.

    Returns:
        The number of stories.

    Raises:
        StoryganError: the split cannot be read, or the file cannot be written.
    """
    count = 0
    paths = shard_paths(data, split)
    with atomic_open(Path(out)) as file:
        for row in (row for path in paths for row in read_rows(path, ("story_id", "sentences"))):
            sentences = row["sentences"] or []
            line = {"id": row["story_id"], "sentences": sentences, "english": describe_story(sentences)}
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
            count += 1
    return count
