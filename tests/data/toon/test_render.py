"""The Toon-SV renderer: deterministic, resumable, with a card that credits OpenMoji."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from storygan.cli import main
from storygan.data.add_nuisance import add_nuisance
from storygan.data.check import check_dataset
from storygan.data.schema import read_metadata, read_stories, shard_paths
from storygan.data.toon.render import render_story, render_toon
from storygan.data.toon.world import LABELS
from storygan.errors import MAX_SEED, StoryganError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toon") / "toon"
    render_toon(out, train=6, validation=2, test=9, seed=3)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_folder_is_a_valid_data_set(folder: Path) -> None:
    report = check_dataset(folder)
    assert report.problems == []
    assert add_nuisance(folder) == 0, "every story has the columns"
    assert (report.T, report.size, report.aspect_ratio) == (5, (64, 64), 1.0)
    assert {name: split.stories for name, split in report.splits.items()} == {"train": 6, "validation": 2, "test": 9}
    assert read_metadata(shard_paths(folder, "train")[0]).label_names == LABELS
    cast = ("fox", "bear", "rabbit", "frog", "pig", "mouse", "chick", "panda", "unicorn")
    assert LABELS[:9] == tuple(f"character: {species}" for species in cast)


def test_test_split_has_three_parts(folder: Path) -> None:
    ids = [story.story_id for story in read_stories(folder, "test")]
    parts = [story_id.removeprefix("toon-test-")[:-7] for story_id in ids]
    assert parts == ["plain"] * 5 + ["wording"] * 2 + ["pair"] * 2
    assert ids[0] == "toon-test-plain-000000"


def test_story_depends_on_its_id_and_seed_alone(folder: Path) -> None:
    stories = {story.story_id: story for split in ("train", "test") for story in read_stories(folder, split)}
    for part, number in (("test-pair", 1), ("train", 5), ("test-wording", 0)):
        assert stories[f"toon-{part}-{number:06d}"] == render_story(part, number, seed=3)
    assert render_story("train", 0, seed=4).sentences != render_story("train", 0, seed=3).sentences
    assert len({tuple(story.sentences) for story in stories.values()}) == len(stories)


def test_largest_seed_can_be_resumed(tmp_path: Path) -> None:
    assert render_toon(tmp_path, train=1, seed=MAX_SEED, T=1, size=32).rendered == 1
    assert render_toon(tmp_path, train=1, seed=MAX_SEED, T=1, size=32).existing == 1


def test_interrupted_run_is_resumed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "toon"
    render_toon(out, train=6, validation=2, test=9, seed=3)
    assert contents(out) == contents(folder)
    (shard,) = shard_paths(out, "test")
    shard.unlink()
    summary = render_toon(out, train=6, validation=2, test=9, seed=3)
    assert (summary.rendered, summary.existing) == (9, 8)
    assert contents(out) == contents(folder)


def test_card_credits_the_art_and_describes_the_parts(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "cc-by-sa-4.0"
    assert [part["split"] for part in front["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert "designed by OpenMoji" in card
    assert "https://creativecommons.org/licenses/by-sa/4.0/" in card
    for part in ("plain", "wording", "pair"):
        assert f"toon-test-{part}-" in card


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "positive number"),
        ({"train": -1}, "positive number"),
        ({"T": 0}, "frames"),
        ({"size": 8}, "pixels"),
        ({"seed": -1}, "seed"),
    ],
)
def test_invalid_arguments_are_bad_usage(wrong: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        render_toon(tmp_path / "toon", **{"train": 1, **wrong})
    assert not (tmp_path / "toon").exists()


def test_folder_has_one_configuration(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="started with seed 3, not 4"):
        render_toon(folder, train=6, validation=2, test=9, seed=4)
    (tmp_path / "train-00000-of-00001.parquet").touch()
    with pytest.raises(StoryganError, match="did not write"):
        render_toon(tmp_path, train=1)


def test_card_of_a_small_test_split_describes_no_parts(tmp_path: Path) -> None:
    render_toon(tmp_path / "toon", train=1, test=3)  # all plain
    assert "toon-test-" not in (tmp_path / "toon" / "README.md").read_text()


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["data", "render-toon", str(tmp_path / "toon"), "--train", "2", "--frames", "3", "--size", "32"]
    assert main(call) == 0
    assert "2 stories rendered" in capsys.readouterr().out
    assert [len(story.frames) for story in read_stories(tmp_path / "toon", "train")] == [3, 3]
    assert main(["data", "render-toon", str(tmp_path / "none")]) == 2


def test_speed() -> None:
    """CPU time of one process; the goal is 200 frames/s on two cores."""
    render_story("train", 0)
    started = time.process_time()
    for number in range(20):
        render_story("train", number)
    assert 100 / (time.process_time() - started) > 100
