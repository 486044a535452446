"""A split as training reads it: the memory map holds the decoded frames and follows the content of the shards."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from storygan.data import dataset as dataset_module
from storygan.data import frame_map
from storygan.data.dataset import open_split
from storygan.data.schema import Story, shard_name, write_shard
from storygan.types import StoryganError

NAMES = ("cube", "red")


def pixels(seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def encode(frame: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


def story(number: int, t: int = 3, size: int = 8, form: str = "PNG", labels: bool = True) -> Story:
    frames = [encode(pixels(100 * number + k, size), form) for k in range(t)]
    rows = [[k % 2, number % 2] for k in range(t)]
    return Story(f"s{number}", [f"sentence {k} of {number}" for k in range(t)], frames, rows if labels else None)


def write(folder: Path, stories: list[Story], split: str = "train", shards: int = 1, labels: bool = True) -> Path:
    for index in range(shards):
        write_shard(folder / shard_name(split, index, shards), stories[index::shards], NAMES if labels else None)
    return folder


def caches(folder: Path) -> list[Path]:
    return sorted((folder / ".cache").glob("*.npy"))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_frames_sentences_and_labels_line_up(tmp_path: Path, form: str) -> None:
    stories = [story(n, form=form) for n in range(5)]
    dataset = open_split(write(tmp_path, stories, shards=2), "train")
    numbers = [0, 2, 4, 1, 3]  # in the order of the shards
    assert (len(dataset), dataset.T, dataset.size) == (5, 3, 8)
    assert dataset.story_ids == [f"s{n}" for n in numbers]
    assert dataset.sentences == [stories[n].sentences for n in numbers]
    assert dataset.label_names == NAMES
    assert dataset.labels is not None
    assert dataset.labels.dtype == np.int8
    assert dataset.labels.tolist() == [stories[n].labels for n in numbers]
    wanted = np.array([[pixels(100 * n + k) for k in range(3)] for n in numbers])
    assert isinstance(dataset.frames, np.memmap)
    assert np.array_equal(dataset.frames, wanted)
    batch = dataset.batch([3, 0, 3])
    assert type(batch) is np.ndarray
    assert batch.flags.writeable
    assert np.array_equal(batch, wanted[[3, 0, 3]])


def test_a_shard_of_several_row_groups(tmp_path: Path) -> None:
    """64 stories are one; Arrow cannot read nested texts as dictionaries across two."""
    stories = [story(number) for number in range(130)]
    dataset = open_split(write(tmp_path, stories), "train")
    assert [row[2] for row in dataset.sentences] == [f"sentence 2 of {number}" for number in range(130)]
    assert dataset.labels is not None
    assert dataset.labels[:, 0, 1].tolist() == [number % 2 for number in range(130)]
    assert np.array_equal(dataset.frames[129, 2], pixels(12902))


def test_without_labels(tmp_path: Path) -> None:
    dataset = open_split(write(tmp_path, [story(1, labels=False)], labels=False), "train")
    assert dataset.labels is None
    assert dataset.label_names is None


def test_the_map_is_built_once_and_again_when_the_content_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [story(1), story(2)])
    first = open_split(tmp_path, "train")
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "build_frame_map", lambda *_: pytest.fail("built twice"))
        again = open_split(tmp_path, "train")
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.frames, first.frames)

    write(tmp_path, [story(1), story(3)])  # the same names and number of stories, other pictures
    changed = open_split(tmp_path, "train")
    assert changed.fingerprint != first.fingerprint
    assert np.array_equal(changed.frames[1, 0], pixels(300))
    assert len(caches(tmp_path)) == 1  # the stale map is gone


def test_the_fingerprint_does_not_depend_on_where_or_when(tmp_path: Path) -> None:
    a, b = (open_split(write(tmp_path / name, [story(1)]), "train") for name in ("a", "b"))
    assert a.fingerprint == b.fingerprint


def test_splits_have_maps_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, [story(1)])
    write(tmp_path, [story(2), story(3)], "test")
    assert (len(open_split(tmp_path, "train")), len(open_split(tmp_path, "test"))) == (1, 2)
    assert len(caches(tmp_path)) == 2


def test_a_folder_that_cannot_be_written_to_uses_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "data", [story(1)])
    (folder / ".cache").write_text("in the way")  # as good as read-only, for root as well
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert np.array_equal(open_split(folder, "train").frames[0, 0], pixels(100))
    assert len(list((tmp_path / "xdg").rglob("train-*.npy"))) == 1
    (tmp_path / "xdg2").write_text("in the way too")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg2"))
    with pytest.raises(StoryganError, match="set XDG_CACHE_HOME"):
        open_split(folder, "train")


def test_a_shard_that_comes_while_the_map_is_built_waits_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [story(1)], NAMES)
    build = dataset_module.build_frame_map

    def with_a_renderer_at_work(*args: Any) -> None:
        write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], NAMES)
        build(*args)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "build_frame_map", with_a_renderer_at_work)
        assert len(open_split(tmp_path, "train").frames) == 1
    assert np.array_equal(open_split(tmp_path, "train").frames[1, 0], pixels(200))


def test_an_interrupted_build_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [story(1), story(2)])
    decode = frame_map._decode

    def interrupted(story_id: str, encoded: list[bytes]) -> np.ndarray:
        if story_id == "s2":
            raise KeyboardInterrupt
        return decode(story_id, encoded)

    with monkeypatch.context() as patch:
        patch.setattr(frame_map, "_decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_split(tmp_path, "train")
    assert not caches(tmp_path)
    (tmp_path / ".cache" / ".train.partial").write_bytes(b"what a killed process left")
    assert np.array_equal(open_split(tmp_path, "train").frames[1, 0], pixels(200))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    write(tmp_path, [story(n) for n in range(20)])
    code = (
        "import sys; from storygan.data.dataset import open_split; print(open_split(sys.argv[1], 'train').fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    fingerprints = [process.communicate(timeout=60)[0] for process in processes]
    assert fingerprints == [open_split(tmp_path, "train").fingerprint + "\n"] * 3
    assert len(caches(tmp_path)) == 1


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (story(2, t=4), "'s2' has 4 sentences, others 3"),
        (story(2, size=9), r"'s2' has frames \(3, 9, 9, 3\), others \(3, 8, 8, 3\)"),
        (
            Story("s2", ["a"] * 3, [encode(pixels(1)), b"\x89PNG", b""], [[0, 0]] * 3),
            "'s2', frame 2: not a readable PNG",
        ),
        (
            Story("s2", ["a"] * 3, [encode(pixels(1, size)) for size in (8, 8, 9)], [[0, 0]] * 3),
            "'s2', frame 3 has another size",
        ),
        (Story("s2", ["a"] * 3, [encode(np.zeros((8, 8), np.uint8))] * 3, [[0, 0]] * 3), "the image is L, not RGB"),
    ],
)
def test_stories_that_do_not_fit_together_are_one_clear_line(tmp_path: Path, odd: Story, words: str) -> None:
    write(tmp_path, [story(1), odd])
    with pytest.raises(StoryganError, match=words):
        open_split(tmp_path, "train")
    assert not caches(tmp_path)


def test_shards_with_different_labels_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [story(1)], NAMES)
    write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], ("cube", "blue"))
    with pytest.raises(StoryganError, match="name different labels"):
        open_split(tmp_path, "train")


def test_an_empty_or_missing_split_is_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path, [])
    with pytest.raises(StoryganError, match="has no story in the split train"):
        open_split(tmp_path, "train")
    with pytest.raises(StoryganError, match="has no split 'test'"):
        open_split(tmp_path, "test")


def test_a_full_disk_is_an_error_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    write(tmp_path, [story(1)])
    monkeypatch.setattr("storygan.files.os.fsync", full)
    with pytest.raises(StoryganError, match="No space left on device"):
        open_split(tmp_path, "train")
