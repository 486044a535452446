"""The canonical Parquet form: it round-trips, `datasets` opens it unaided, and a broken file is one clear line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storygan.data import schema
from storygan.data.schema import Story, read_stories, shard_name, shard_paths, splits, write_shard
from storygan.types import StoryganError

NAMES = ("cube", "red", "metal")


def png(seed: int, size: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def story(number: int, t: int = 4, labels: bool = True) -> Story:
    rows = [[(number + k + j) % 2 for j in range(len(NAMES))] for k in range(t)]
    frames = [png(10 * number + k) for k in range(t)]
    return Story(f"s{number}", [f"sentence {k} of {number}" for k in range(t)], frames, rows if labels else None)


def test_stories_round_trip_in_order_across_shards(tmp_path: Path) -> None:
    stories = [story(n) for n in range(150)]  # more than two row groups
    write_shard(tmp_path / shard_name("train", 0, 2), stories[:140], NAMES)
    write_shard(tmp_path / shard_name("train", 1, 2), stories[140:], NAMES)
    assert list(read_stories(tmp_path, "train")) == stories
    assert schema.label_names(shard_paths(tmp_path, "train")[0]) == NAMES


def test_stories_without_labels_round_trip(tmp_path: Path) -> None:
    stories = [story(n, labels=False) for n in range(3)]
    write_shard(tmp_path / shard_name("test", 0, 1), stories, None)
    assert list(read_stories(tmp_path, "test")) == stories
    assert schema.label_names(shard_paths(tmp_path, "test")[0]) is None


def test_the_same_stories_give_the_same_bytes_and_no_temporary_file_stays(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_shard(tmp_path / folder / "train-00000-of-00001.parquet", [story(1), story(2)], NAMES)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("with_labels", [True, False])
def test_load_dataset_opens_the_folder_unaided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_labels: bool
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "stories"
    for split, numbers in {"train": (0, 1, 2), "test": (3,)}.items():
        stories = [story(n, labels=with_labels) for n in numbers]
        write_shard(folder / shard_name(split, 0, 1), stories, NAMES if with_labels else None)
    cache = folder / ".cache"  # what training keeps beside the shards must not disturb the reader
    cache.mkdir()
    (cache / "train-0123.json").write_text("{}")

    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "hf"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 3, "test": 1}
    row, wanted = loaded["train"][1], story(1)
    assert row["story_id"] == "s1"
    assert row["sentences"] == wanted.sentences
    assert isinstance(row["frames"][0], Image.Image)
    for frame, encoded in zip(row["frames"], wanted.frames, strict=True):
        assert np.array_equal(np.asarray(frame), np.asarray(Image.open(io.BytesIO(encoded))))
    assert row.get("labels") == (wanted.labels if with_labels else None)


def test_a_split_may_be_a_folder(tmp_path: Path) -> None:
    write_shard(tmp_path / "validation" / "0000.parquet", [story(1)], NAMES)
    write_shard(tmp_path / "data" / shard_name("train", 0, 1), [story(2)], NAMES)
    assert splits(tmp_path) == ["train", "validation"]
    assert [s.story_id for s in read_stories(tmp_path, "validation")] == ["s1"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Story("x", ["one"], [], [[0, 0, 0]]), "1 sentences but 0 frames"),
        (Story("x", ["one"], [b""], None), "labels and label names together"),
        (Story("x", ["one"], [b""], [[0, 1]]), "1 rows of 3 values"),
    ],
)
def test_an_inconsistent_story_is_not_written(tmp_path: Path, broken: Story, words: str) -> None:
    with pytest.raises(StoryganError, match=words):
        write_shard(tmp_path / "train.parquet", [broken], NAMES)
    assert not list(tmp_path.iterdir())


def test_errors_name_the_file_or_folder(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"nowhere is not a folder"):
        splits(tmp_path / "nowhere")
    with pytest.raises(StoryganError, match=r"no split 'train'"):
        shard_paths(tmp_path, "train")
    with pytest.raises(StoryganError, match=r"unknown split 'dev'"):
        shard_name("dev", 0, 1)
    path = tmp_path / "train-00000-of-00001.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(StoryganError, match=r"train-00000-of-00001\.parquet cannot be read"):
        list(read_stories(tmp_path, "train"))


@pytest.mark.parametrize(
    "columns",
    [
        {"story_id": ["a"], "sentences": [["b"]]},
        {"story_id": ["a"], "sentences": [["b"]], "frames": [[b"png"]]},
        {"story_id": [1], "sentences": [["b"]], "frames": [[{"bytes": b"png"}]]},
        {"story_id": ["a"], "sentences": ["b"], "frames": [[{"bytes": b"png"}]]},
    ],
)
def test_another_table_is_not_a_shard_of_stories(tmp_path: Path, columns: dict) -> None:
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    with pytest.raises(StoryganError, match=r"train\.parquet is not a shard of stories"):
        list(read_stories(tmp_path, "train"))


def test_a_frame_that_is_only_a_path_is_refused(tmp_path: Path) -> None:
    columns = {"story_id": ["a"], "sentences": [["b"]], "frames": [[{"bytes": None, "path": "x.png"}]]}
    pq.write_table(pa.table(columns, schema=schema.story_schema(None)), tmp_path / "train.parquet")
    with pytest.raises(StoryganError, match="embed the images"):
        list(read_stories(tmp_path, "train"))


def test_a_damaged_shard_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    write_shard(path, [story(n) for n in range(4)], NAMES)
    data = bytearray(path.read_bytes())
    data[100:400] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(StoryganError, match=r"train-00000-of-00001\.parquet is damaged"):
        list(read_stories(tmp_path, "train"))
