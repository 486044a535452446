"""Folders rendered without nuisance columns get exactly those of a new render; foreign stories are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.cli import main
from storygan.data.add_nuisance import add_nuisance
from storygan.data.clevr.render import ClevrConfig, write_card
from storygan.data.images import encode_png
from storygan.data.render_config import FILE
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_metadata, read_shard, write_shard
from storygan.data.toon.render import render_toon
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


def test_toon_folder_gets_the_columns_of_a_render(tmp_path: Path) -> None:
    out = tmp_path / "toon"
    render_toon(out, train=3, test=4, seed=3, T=2, size=32)
    rendered, card = contents(out), (out / "README.md").read_text()
    strip(out)
    (out / "README.md").write_text("older")
    assert add_nuisance(out) == 7
    assert contents(out) == rendered
    assert (out / "README.md").read_text() == card
    strip(out)
    (out / FILE).unlink()  # which has the seed
    with pytest.raises(UsageError, match="'toon-train-000000' is not as"):
        add_nuisance(out)


def test_toon_folder_of_another_renderer_is_refused(tmp_path: Path) -> None:
    render_toon(tmp_path, train=2, T=1, size=32)
    strip(tmp_path)
    config = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(config.replace('"renderer": 3', '"renderer": 2'))
    with pytest.raises(UsageError, match=r"renderer 2 drew .* render the stories again"):
        add_nuisance(tmp_path)
    (tmp_path / FILE).unlink()
    strip(tmp_path, lambda story: replace(story, frames=[encode_png(Image.new("RGB", (32, 32)))]))
    with pytest.raises(UsageError, match="'toon-train-000000' is not as"):
        add_nuisance(tmp_path)


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
