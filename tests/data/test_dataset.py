"""A split for training: the memory map holds the decoded frames and follows the content of the shards."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storygan.data import dataset as dataset_module
from storygan.data.dataset import open_split
from storygan.data.schema import NO_NUISANCE, NuisanceColumns, Story, shard_name, story_schema, write_shard
from storygan.errors import StoryganError, UsageError

NAMES = ("cube", "red")


def pixels(seed: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def encode(frame: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


def story(number: int, T: int = 3, size: int = 8, form: str = "PNG", labels: bool = True) -> Story:
    frames = [encode(pixels(100 * number + k, size), form) for k in range(T)]
    rows = [[k % 2, number % 2] for k in range(T)]
    return Story(f"s{number}", [f"sentence {k} of {number}" for k in range(T)], frames, rows if labels else None)


def write(folder: Path, stories: list[Story], split: str = "train", shards: int = 1, labels: bool = True) -> Path:
    for index in range(shards):
        write_shard(folder / shard_name(split, index, shards), stories[index::shards], NAMES if labels else None)
    return folder


def caches(folder: Path) -> list[Path]:
    return sorted((folder / ".cache").glob("*.npy"))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_frames_sentences_and_labels_are_aligned(tmp_path: Path, form: str) -> None:
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
    expected = np.array([[pixels(100 * n + k) for k in range(3)] for n in numbers])
    assert isinstance(dataset.frames, np.memmap)
    assert np.array_equal(dataset.frames, expected)
    batch = dataset.batch([3, 0, 3])
    assert type(batch) is np.ndarray
    assert batch.flags.writeable
    assert np.array_equal(batch, expected[[3, 0, 3]])


def test_shard_of_several_row_groups(tmp_path: Path) -> None:
    """A row group has 64 stories; Arrow cannot read nested texts as dictionaries across two."""
    stories = [story(number) for number in range(130)]
    dataset = open_split(write(tmp_path, stories), "train")
    assert [row[2] for row in dataset.sentences] == [f"sentence 2 of {number}" for number in range(130)]
    assert dataset.labels is not None
    assert dataset.labels[:, 0, 1].tolist() == [number % 2 for number in range(130)]
    assert np.array_equal(dataset.frames[129, 2], pixels(12902))


def test_aspect_ratio(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [story(1)], NAMES, aspect_ratio=4 / 3)
    write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], NAMES, aspect_ratio=4 / 3)
    dataset = open_split(tmp_path, "train")
    assert (dataset.aspect_ratio, dataset.subset([0]).aspect_ratio) == (4 / 3, 4 / 3)
    write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], NAMES)
    with pytest.raises(StoryganError, match="differ in aspect ratio: create them again"):
        open_split(tmp_path, "train")


def test_null_sentence_is_a_one_line_error(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(
        [{"story_id": "s1", "sentences": ["a", None], "frames": [{"bytes": encode(pixels(1))}] * 2}],
        story_schema(None),
    )
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(StoryganError, match="'s1' has a null sentence"):
        open_split(tmp_path, "train")


def test_without_labels(tmp_path: Path) -> None:
    dataset = open_split(write(tmp_path, [story(1, labels=False)], labels=False), "train")
    assert dataset.labels is None
    assert dataset.label_names is None


NUISANCE = NuisanceColumns(("camera x", "camera y"), ("cosine", "sine", "radius"), foreground=True)


def mask(number: int, k: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng([number, k]).random((size, size)) < 0.3


def with_nuisance(number: int, size: int = 8) -> Story:
    return replace(
        story(number, size=size),
        story_nuisance=[number / 2, -1.5],
        frame_nuisance=[[float(number), 0.25, None] if k else [None] * 3 for k in range(3)],
        foreground=[encode(mask(number, k, size)) for k in range(3)],
    )


def write_nuisance(folder: Path, stories: list[Story], shards: int = 1) -> Path:
    for index in range(shards):
        write_shard(folder / shard_name("train", index, shards), stories[index::shards], NAMES, NUISANCE)
    return folder


@pytest.mark.parametrize("size", [8, 9])  # 81 bits are not a whole number of bytes
def test_nuisance_values_and_masks_are_aligned(tmp_path: Path, size: int) -> None:
    dataset = open_split(write_nuisance(tmp_path, [with_nuisance(n, size) for n in range(5)], shards=2), "train")
    numbers = [0, 2, 4, 1, 3]  # in the order of the shards
    assert dataset.nuisance == NUISANCE
    assert dataset.story_nuisance is not None
    assert dataset.frame_nuisance is not None
    assert dataset.shards is not None
    assert dataset.story_nuisance.dtype == dataset.frame_nuisance.dtype == np.float32
    assert dataset.story_nuisance.tolist() == [[n / 2, -1.5] for n in numbers]
    nan = np.nan
    expected = [[[nan] * 3, [n, 0.25, nan], [n, 0.25, nan]] for n in numbers]
    assert np.array_equal(dataset.frame_nuisance, np.array(expected), equal_nan=True)
    assert (dataset.shards.dtype, dataset.shards.tolist()) == (np.int32, [0, 0, 0, 1, 1])
    assert dataset.has_foreground
    masks = dataset.foreground([3, 0])
    assert masks.dtype == bool
    assert np.array_equal(masks, [[mask(n, k, size) for k in range(3)] for n in (1, 0)])


def test_masks_are_decoded_once_and_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = dataset_module.decode_mask
    monkeypatch.setattr(dataset_module, "decode_mask", lambda encoded: decoded.append(1) or decode(encoded))
    dataset = open_split(write_nuisance(tmp_path, [with_nuisance(n) for n in range(4)]), "train")
    assert dataset.has_foreground
    assert not decoded
    for _ in range(2):
        assert dataset.foreground([0]).shape == (1, 3, 8, 8)
        assert len(decoded) == 12


def test_subset_is_aligned(tmp_path: Path) -> None:
    dataset = open_split(write_nuisance(tmp_path, [with_nuisance(n) for n in range(5)]), "train")
    subset = dataset.subset([4, 1])
    assert subset.story_ids == ["s4", "s1"]
    assert subset.sentences == [story(n).sentences for n in (4, 1)]
    assert np.array_equal(subset.frames[1, 2], pixels(102))
    assert subset.labels is not None
    assert subset.labels[:, 0, 1].tolist() == [0, 1]
    assert subset.story_nuisance is not None
    assert subset.story_nuisance[:, 0].tolist() == [2, 0.5]
    assert np.array_equal(subset.foreground([1])[0, 2], mask(1, 2))
    assert np.array_equal(subset.subset([0]).foreground([0])[0, 2], mask(4, 2))


def test_without_nuisance_columns(tmp_path: Path) -> None:
    dataset = open_split(write(tmp_path, [story(1)]), "train")
    assert (dataset.story_nuisance, dataset.frame_nuisance, dataset.nuisance) == (None, None, NO_NUISANCE)
    assert not dataset.has_foreground
    with pytest.raises(UsageError, match="has no foreground masks: `storygan data add-nuisance"):
        dataset.foreground([0])


def test_different_nuisance_columns_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [with_nuisance(1)], NAMES, NUISANCE)
    write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], NAMES)
    with pytest.raises(StoryganError, match=f"run `storygan data add-nuisance {tmp_path}`"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"story_nuisance": [0.0, float("nan")]}, "story_nuisance has a value that is not a number"),
        ({"story_nuisance": [0.0, float("inf")]}, "story_nuisance is not 2 finite values in every story"),
        (
            {"frame_nuisance": [[0.0, 0.0, float("-inf")]] * 3},
            "frame_nuisance is not 3 x 3 finite values in every story",
        ),
    ],
)
def test_nuisance_that_is_not_finite_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(StoryganError, match=message):
        open_split(write_nuisance(tmp_path, [with_nuisance(0), replace(with_nuisance(1), **changes)]), "train")


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (encode(mask(0, 0, 9)), "'s1', foreground masks: "),
        (encode(pixels(1)), "the image is RGB, not 1 or L"),
        (b"\x89PNG", "not a readable PNG image"),
    ],
)
def test_damaged_mask_is_a_one_line_error(tmp_path: Path, damaged: bytes, message: str) -> None:
    odd = with_nuisance(1)
    assert odd.foreground is not None
    odd = replace(odd, foreground=[*odd.foreground[:2], damaged])
    dataset = open_split(write_nuisance(tmp_path, [with_nuisance(0), odd]), "train")
    with pytest.raises(StoryganError, match=message):
        dataset.foreground([0])


def test_map_is_built_once_and_rebuilt_when_the_content_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [story(1), story(2)])
    first = open_split(tmp_path, "train")
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "build_frame_map", lambda *_: pytest.fail("rebuilt"))
        again = open_split(tmp_path, "train")
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.frames, first.frames)

    write(tmp_path, [story(1), story(3)])  # the same names and number of stories, other pictures
    changed = open_split(tmp_path, "train")
    assert changed.fingerprint != first.fingerprint
    assert np.array_equal(changed.frames[1, 0], pixels(300))
    assert len(caches(tmp_path)) == 1  # the stale map is gone


def test_fingerprint_depends_on_content_alone(tmp_path: Path) -> None:
    a, b = (open_split(write(tmp_path / name, [story(1)]), "train") for name in ("a", "b"))
    assert a.fingerprint == b.fingerprint


def test_each_split_has_its_map(tmp_path: Path) -> None:
    write(tmp_path, [story(1)])
    write(tmp_path, [story(2), story(3)], "test")
    assert (len(open_split(tmp_path, "train")), len(open_split(tmp_path, "test"))) == (1, 2)
    assert len(caches(tmp_path)) == 2


def test_read_only_folder_uses_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "data", [story(1)])
    (folder / ".cache").write_text("in the way")  # as good as read-only, for root as well
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert np.array_equal(open_split(folder, "train").frames[0, 0], pixels(100))
    assert len(list((tmp_path / "xdg").rglob("train-*.npy"))) == 1
    (tmp_path / "xdg2").write_text("in the way too")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg2"))
    with pytest.raises(StoryganError, match="set XDG_CACHE_HOME"):
        open_split(folder, "train")


def test_shard_added_while_the_map_is_built_is_in_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [story(1)], NAMES)
    build = dataset_module.build_frame_map

    def with_concurrent_renderer(*args: Any) -> None:
        write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], NAMES)
        build(*args)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "build_frame_map", with_concurrent_renderer)
        assert len(open_split(tmp_path, "train").frames) == 1
    assert np.array_equal(open_split(tmp_path, "train").frames[1, 0], pixels(200))


def test_interrupted_build_leaves_no_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [story(1), story(2)])
    decode = dataset_module._decode

    def interrupted(story_id: str, encoded: list[bytes]) -> np.ndarray:
        if story_id == "s2":
            raise KeyboardInterrupt
        return decode(story_id, encoded)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "_decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_split(tmp_path, "train")
    assert not caches(tmp_path)
    (tmp_path / ".cache" / ".train-0123.npy.0a1b2c3d.tmp").write_bytes(b"left by a killed process")
    assert np.array_equal(open_split(tmp_path, "train").frames[1, 0], pixels(200))
    assert not list((tmp_path / ".cache").glob("*.tmp"))


def test_processes_that_start_together_build_one_map(tmp_path: Path) -> None:
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
    ("odd", "message"),
    [
        (story(2, T=4), "'s2' has 4 sentences, others 3"),
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
def test_stories_of_different_shapes_are_a_one_line_error(tmp_path: Path, odd: Story, message: str) -> None:
    write(tmp_path, [story(1), odd])
    with pytest.raises(StoryganError, match=message):
        open_split(tmp_path, "train")
    assert not caches(tmp_path)


def test_different_labels_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 0, 2), [story(1)], NAMES)
    write_shard(tmp_path / shard_name("train", 1, 2), [story(2)], ("cube", "blue"))
    with pytest.raises(StoryganError, match="differ in label names: create them again"):
        open_split(tmp_path, "train")


def test_empty_or_missing_split_is_a_one_line_error(tmp_path: Path) -> None:
    write(tmp_path, [])
    with pytest.raises(StoryganError, match="has no story in the split train"):
        open_split(tmp_path, "train")
    with pytest.raises(StoryganError, match="has no split 'test'"):
        open_split(tmp_path, "test")


def test_full_disk_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    write(tmp_path, [story(1)])
    monkeypatch.setattr("storygan.files.os.fsync", full)
    with pytest.raises(StoryganError, match="No space left on device"):
        open_split(tmp_path, "train")


def test_items_are_those_of_a_map_style_data_set(tmp_path: Path) -> None:
    dataset = open_split(write(tmp_path, [story(n) for n in range(3)]), "train")
    items = list(dataset)  # ends by IndexError
    assert len(items) == len(dataset)
    assert (items[1]["frames"] == dataset.frames[1]).all()
    assert items[-1]["sentences"] == dataset.sentences[-1]
    assert dataset[-1]["story_id"] == dataset.story_ids[-1]
