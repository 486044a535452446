"""Frames of other systems: both forms give the same frames, and each defect is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan.data.dataset import StoryDataset
from storygan.data.images import encode_png
from storygan.data.schema import Story, write_shard
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.system_frames import parse_systems, read_system_frames


def write_folder(folder: Path, ids: list[str], frames: np.ndarray, side: int = 64) -> Path:
    """Write frames (N, T, 64, 64, 3) as STORY_ID/t.png of side x side pixels."""
    for story_id, story in zip(ids, frames, strict=True):
        (folder / story_id).mkdir(parents=True)
        for t, frame in enumerate(story, 1):
            Image.fromarray(frame).resize((side, side), 0).save(folder / story_id / f"{t}.png")
    return folder


def write_parquet(path: Path, dataset: StoryDataset, frames: np.ndarray, T: int = 4) -> Path:
    """Write frames as one shard, in reverse order."""
    rows = zip(dataset.story_ids, dataset.sentences, frames, strict=True)
    stories = [Story(i, s[:T], [encode_png(Image.fromarray(frame)) for frame in x[:T]]) for i, s, x in rows]
    write_shard(path, stories[::-1], None)
    return path


@pytest.fixture
def theirs(stories: StoryDataset, tmp_path: Path) -> Path:
    """A folder with the negatives of the real frames."""
    return write_folder(tmp_path / "theirs", stories.story_ids, 255 - stories.frames)


def test_a_folder_and_parquet_of_the_same_frames_are_the_same(
    theirs: Path, stories: StoryDataset, tmp_path: Path
) -> None:
    (theirs / "another-story").mkdir()
    shard = write_parquet(tmp_path / "parquet" / "test.parquet", stories, 255 - stories.frames)
    for source in (theirs, shard, shard.parent):
        frames, note = read_system_frames("theirs", source, stories, "test")
        assert np.array_equal(frames, 255 - stories.frames), source
        assert note == ""


def test_other_sizes_are_resized_and_counted(stories: StoryDataset, tmp_path: Path) -> None:
    real = stories.batch(range(16))
    folder = write_folder(tmp_path / "large", stories.story_ids, real, side=128)
    Image.fromarray(real[0, 0]).save(folder / stories.story_ids[0] / "1.png")
    frames, note = read_system_frames("large", folder, stories, "test")
    assert note == "large: 63 of 64 frames resized to 64x64 pixels, from 128x128"
    assert np.array_equal(frames[0, 0], real[0, 0])
    assert np.abs(frames.astype(int) - real).mean() < 3


def test_pictures_with_transparency_or_one_channel_are_read(theirs: Path, stories: StoryDataset) -> None:
    first = theirs / stories.story_ids[0]
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(first / "1.png")
    Image.new("L", (64, 64), 7).save(first / "2.png")
    frames, _ = read_system_frames("theirs", theirs, stories, "test")
    assert (frames[0, 0] == 255).all()
    assert (frames[0, 1] == 7).all()


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no story": (lambda story: shutil.rmtree(story), "theirs has no story '{id}'"),
    "no frame": (lambda story: (story / "3.png").unlink(), "theirs, story '{id}' has no frame 3"),
    "a frame more": (lambda story: (story / "5.png").touch(), "theirs, story '{id}' has 5.png, but .* 4 frames"),
    "no picture": (lambda story: (story / "2.png").write_text("x"), "theirs, story '{id}', frame 2 cannot be read"),
    "truncated": (lambda story: cut(story / "4.png"), "theirs, story '{id}', frame 4 cannot be read"),
    "too large": (
        lambda story: Image.new("1", (5000, 5000)).save(story / "1.png"),
        "theirs, story '{id}', frame 1 cannot be read: it has 5000 x 5000 pixels",
    ),
}


def cut(path: Path) -> None:
    """Truncate a file to its first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_folder_is_named(defect: str, theirs: Path, stories: StoryDataset) -> None:
    spoil, message = DEFECTS[defect]
    spoil(theirs / stories.story_ids[5])
    with pytest.raises(StoryganError, match=message.format(id=re.escape(stories.story_ids[5]))) as error:
        read_system_frames("theirs", theirs, stories, "test")
    assert "\n" not in str(error.value)


def test_a_defect_of_parquet_is_named(stories: StoryDataset, tmp_path: Path) -> None:
    shard, real = tmp_path / "theirs.parquet", stories.batch(range(16))
    write_parquet(shard, stories.subset(range(15)), real[:15])
    with pytest.raises(StoryganError, match=f"theirs has no story '{stories.story_ids[15]}'"):
        read_system_frames("theirs", shard, stories, "test")
    write_parquet(shard, stories, real, T=3)
    with pytest.raises(StoryganError, match="has 3 frames, not 4"):
        read_system_frames("theirs", shard, stories, "test")
    write_parquet(shard, stories.subset([0, *range(16)]), real[[0, *range(16)]])
    with pytest.raises(StoryganError, match=f"two stories '{stories.story_ids[0]}'"):
        read_system_frames("theirs", shard, stories, "test")
    with pytest.raises(StoryganError, match=r"there is no .*nowhere"):
        read_system_frames("theirs", tmp_path / "nowhere", stories, "test")


def test_names_of_systems() -> None:
    assert parse_systems(["ours=a/b", "c/theirs.parquet"]) == {"ours": "a/b", "theirs": "c/theirs.parquet"}
    for texts, message in (
        (["a=x", "a=y"], "two systems 'a'"),
        (["real_frames=x"], "'real_frames' is a row"),
        (["a b=x"], "'a b' is no name"),
        (["a="], "after the '='"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_systems(texts)
