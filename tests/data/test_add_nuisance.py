"""Folders rendered without nuisance columns get exactly those of a new render; foreign stories are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from storygan.clevr.constants import ASPECT
from storygan.cli import main
from storygan.data.add_nuisance import add_nuisance
from storygan.data.clevr.render import ClevrConfig, write_card
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_metadata, read_shard, write_shard
from storygan.errors import StoryganError, UsageError


def strip(folder: Path, change: Callable[[Story], Story] = lambda story: story) -> None:
    """Rewrite the shards without nuisance columns."""
    for path in folder.glob("*.parquet"):
        plain = {"story_nuisance": None, "frame_nuisance": None, "foreground": None}
        stories = [change(replace(story, **plain)) for story in read_shard(path)]
        metadata = read_metadata(path)
        write_shard(path, stories, metadata.label_names, aspect_ratio=metadata.aspect_ratio)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample(tmp_path / "sample")
    return tmp_path / "sample"


def test_sample_gets_the_columns_of_a_render(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = {name: list(read_shard(sample / name)) for name in contents(sample)}
    strip(sample)
    assert {name: list(read_shard(sample / name)) for name in contents(sample)} != shipped
    assert main(["data", "add-nuisance", str(sample)]) == 0
    assert "added nuisance columns to 64 stories" in capsys.readouterr().out
    assert {name: list(read_shard(sample / name)) for name in contents(sample)} == shipped
    assert {read_metadata(sample / name).aspect_ratio for name in contents(sample)} == {ASPECT}
    before = contents(sample)
    assert main(["data", "add-nuisance", str(sample)]) == 0
    assert "already has the nuisance columns" in capsys.readouterr().out
    assert contents(sample) == before


def test_card_of_the_sample_is_that_of_a_render(sample: Path) -> None:
    shipped = (sample / "README.md").read_text()
    write_card(sample, ClevrConfig(train=48, test=16))
    assert (sample / "README.md").read_text() == shipped


def other_id(story: Story) -> Story:
    return replace(story, story_id=story.story_id.replace("clevr-0-20000012", "mine"))


def other_seed(story: Story) -> Story:
    return replace(story, story_id=story.story_id.replace("clevr-0-20000012", "clevr-7-20000012"))


def other_sentence(story: Story) -> Story:
    changed = story.story_id == "clevr-0-20000012"
    return replace(story, sentences=[*story.sentences[:3], story.sentences[0]]) if changed else story


@pytest.mark.parametrize("change", [other_id, other_seed, other_sentence])
def test_foreign_story_is_refused_and_its_shard_is_unchanged(sample: Path, change: Callable[[Story], Story]) -> None:
    strip(sample, change)
    before = contents(sample)
    with pytest.raises(UsageError, match=r"story '(mine|clevr-.-20000012)' is not as `storygan data render-clevr`"):
        add_nuisance(sample)
    name = "test-00000-of-00001.parquet"
    assert contents(sample)[name] == before[name]
    if change is other_id:
        assert contents(sample) == before  # ids are checked before anything is written


def test_folder_without_shards_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="holds no story shards"):
        add_nuisance(tmp_path)
