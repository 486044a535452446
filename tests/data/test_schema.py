"""The canonical form: it round-trips, `datasets` opens it, and a damaged file is a one-line error."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.data.schema import (
    MAX_BYTES,
    NO_NUISANCE,
    Metadata,
    NuisanceColumns,
    Story,
    read_metadata,
    read_rows,
    read_stories,
    shard_name,
    shard_paths,
    splits,
    story_schema,
    write_shard,
)
from storygan.errors import StoryganError
from storygan.text.clevr import LABELS

NAMES = ("cube", "red", "metal")


def png(seed: int, size: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def story(number: int, T: int = 4, labels: bool = True) -> Story:
    rows = [[(number + k + j) % 2 for j in range(len(NAMES))] for k in range(T)]
    frames = [png(10 * number + k) for k in range(T)]
    return Story(f"s{number}", [f"sentence {k} of {number}" for k in range(T)], frames, rows if labels else None)


def mask(seed: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).random((size, size)) < 0.5).save(buffer, "PNG")
    return buffer.getvalue()


def with_nuisance(number: int, nuisance: NuisanceColumns) -> Story:
    """Return a story of 4 frames with these columns; the second sentence has no value."""
    rows = [[None if k == 1 else number + k / 8] * len(nuisance.frame or ()) for k in range(4)]
    return replace(
        story(number),
        story_nuisance=None if nuisance.story is None else [number - j / 4 for j in range(len(nuisance.story))],
        frame_nuisance=None if nuisance.frame is None else rows,
        foreground=[mask(number + k) for k in range(4)] if nuisance.foreground else None,
    )


ALL = NuisanceColumns(("camera x", "camera y", "light"), ("cosine", "sine"), foreground=True)
SOME = [
    ALL,
    NuisanceColumns(story=("camera x",)),
    NuisanceColumns(frame=("yaw",)),
    NuisanceColumns(foreground=True),
    NuisanceColumns(story=("height",), foreground=True),
]


def test_stories_round_trip_in_order_across_shards(tmp_path: Path) -> None:
    stories = [story(n) for n in range(150)]  # more than two row groups
    write_shard(tmp_path / shard_name("train", 0, 2), stories[:140], NAMES)
    write_shard(tmp_path / shard_name("train", 1, 2), stories[140:], NAMES)
    assert list(read_stories(tmp_path, "train")) == stories
    assert read_metadata(shard_paths(tmp_path, "train")[0]) == Metadata(NAMES)


def test_stories_without_labels_round_trip(tmp_path: Path) -> None:
    stories = [story(n, labels=False) for n in range(3)]
    write_shard(tmp_path / shard_name("test", 0, 1), stories, None)
    assert list(read_stories(tmp_path, "test")) == stories
    assert read_metadata(shard_paths(tmp_path, "test")[0]) == Metadata()


@pytest.mark.parametrize("nuisance", SOME, ids=str)
def test_each_nuisance_column_round_trips_alone(tmp_path: Path, nuisance: NuisanceColumns) -> None:
    stories = [with_nuisance(n, nuisance) for n in range(70)]
    write_shard(tmp_path / shard_name("train", 0, 1), stories, NAMES, nuisance, 1.5)
    (path,) = shard_paths(tmp_path, "train")
    assert list(read_stories(tmp_path, "train")) == stories
    assert read_metadata(path) == Metadata(NAMES, nuisance, 1.5)
    present = {"story_nuisance": nuisance.story, "frame_nuisance": nuisance.frame, "foreground": nuisance.foreground}
    assert set(pq.read_schema(path).names) - {"story_id", "sentences", "frames", "labels"} == {
        name for name, value in present.items() if value
    }


@pytest.mark.parametrize(("names", "aspect_ratio"), [(NAMES, 1.0), (LABELS, ASPECT), (None, 1.0)])
def test_metadata_of_an_older_version(tmp_path: Path, names: tuple[str, ...] | None, aspect_ratio: float) -> None:
    """It had neither nuisance columns nor an aspect ratio, which is 4:3 for CLEVR-SV."""
    path = tmp_path / shard_name("train", 0, 1)
    labelled = replace(story(1), labels=names and [[0] * len(names)] * 4)
    write_shard(path, [labelled], names)
    table = pq.read_table(path)
    own = {"format": 1, "label_names": names}
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"storygan": json.dumps(own)}), path)
    assert list(read_stories(tmp_path, "train")) == [labelled]
    assert read_metadata(path) == Metadata(names, NO_NUISANCE, aspect_ratio)


@pytest.mark.parametrize("aspect_ratio", [0.0, -1.0, 1000.0, float("nan"), "wide", None, [1.0]])
def test_impossible_aspect_ratio_is_a_damaged_footer(tmp_path: Path, aspect_ratio: object) -> None:
    path = tmp_path / shard_name("train", 0, 1)
    write_shard(path, [replace(story(1), labels=None)], None, aspect_ratio=aspect_ratio)  # type: ignore[arg-type]
    with pytest.raises(StoryganError, match=r"is damaged \(its footer contradicts itself\)"):
        read_metadata(path)


def test_columns_of_another_program_with_the_same_names_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / shard_name("train", 0, 1)
    write_shard(path, [replace(story(1), labels=None)], None)
    table = pq.read_table(path).replace_schema_metadata(None)
    pq.write_table(table.append_column("foreground", pa.array(["a tree"])), path)
    assert list(read_stories(tmp_path, "train")) == [replace(story(1), labels=None)]


def test_nuisance_columns_as_text() -> None:
    assert [str(columns) for columns in SOME] == [
        "3 values per story, 2 values per sentence; foreground masks",
        "1 values per story",
        "1 values per sentence",
        "foreground masks",
        "1 values per story; foreground masks",
    ]


def test_same_stories_give_the_same_bytes_and_no_temporary_file(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_shard(tmp_path / folder / "train-00000-of-00001.parquet", [story(1), story(2)], NAMES)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("nuisance", [NO_NUISANCE, ALL], ids=["plain", "nuisance"])
@pytest.mark.parametrize("with_labels", [True, False])
def test_load_dataset_opens_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_labels: bool, nuisance: NuisanceColumns
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "stories"
    for split, numbers in {"train": (0, 1, 2), "test": (3,)}.items():
        stories = [with_nuisance(n, nuisance) for n in numbers]
        stories = [one if with_labels else replace(one, labels=None) for one in stories]
        write_shard(folder / shard_name(split, 0, 1), stories, NAMES if with_labels else None, nuisance)
    cache = folder / ".cache"  # files that training adds must not disturb the reader
    cache.mkdir()
    (cache / "train-0123.json").write_text("{}")

    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "hf"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 3, "test": 1}
    if with_labels:
        assert json.loads(loaded["test"].map(lambda row: row).features["labels"].feature.feature.id) == list(NAMES)
    row, expected = loaded["train"][1], with_nuisance(1, nuisance)
    assert row["story_id"] == "s1"
    assert row["sentences"] == expected.sentences
    assert isinstance(row["frames"][0], Image.Image)
    pictures = [*zip(row["frames"], expected.frames, strict=True)]
    pictures += zip(row.get("foreground") or [], expected.foreground or [], strict=True)
    for picture, encoded in pictures:
        assert np.array_equal(np.asarray(picture), np.asarray(Image.open(io.BytesIO(encoded))))
    assert row.get("labels") == (expected.labels if with_labels else None)
    assert row.get("story_nuisance") == expected.story_nuisance
    assert row.get("frame_nuisance") == expected.frame_nuisance


def test_split_may_be_a_folder(tmp_path: Path) -> None:
    write_shard(tmp_path / "validation" / "0000.parquet", [story(1)], NAMES)
    write_shard(tmp_path / "data" / shard_name("train", 0, 1), [story(2)], NAMES)
    assert splits(tmp_path) == ["train", "validation"]
    assert [s.story_id for s in read_stories(tmp_path, "validation")] == ["s1"]


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (Story("x", ["one"], [], [[0, 0, 0]]), "1 sentences but 0 frames"),
        (Story("x", ["one"], [b""], None), "labels and label names together"),
        (Story("x", ["one"], [b""], [[0, 1]]), "1 rows of 3 values"),
    ],
)
def test_inconsistent_story_is_not_written(tmp_path: Path, invalid: Story, message: str) -> None:
    with pytest.raises(StoryganError, match=message):
        write_shard(tmp_path / "train.parquet", [invalid], NAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"story_nuisance": [0.0, 0.0]}, r"story_nuisance has lengths \[2\], expected \[3\]"),
        ({"story_nuisance": None}, "story_nuisance has lengths None"),
        ({"frame_nuisance": [[0.0, 0.0]] * 3}, r"frame_nuisance has lengths \[2, 2, 2\], expected \[2, 2, 2, 2\]"),
        ({"frame_nuisance": [[0.0, 0.0]] * 3 + [[0.0]]}, r"frame_nuisance has lengths \[2, 2, 2, 1\]"),
        ({"foreground": [b""] * 3}, r"foreground has lengths \[0, 0, 0\]"),
    ],
)
def test_nuisance_of_another_shape_is_not_written(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(StoryganError, match=message):
        write_shard(tmp_path / "train.parquet", [replace(with_nuisance(1, ALL), **changes)], NAMES, ALL)
    with pytest.raises(StoryganError, match="expected None"):
        write_shard(tmp_path / "train.parquet", [with_nuisance(1, ALL)], NAMES)
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
def test_other_table_is_not_a_shard_of_stories(tmp_path: Path, columns: dict) -> None:
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    with pytest.raises(StoryganError, match=r"train\.parquet is not a shard of stories"):
        list(read_stories(tmp_path, "train"))


def test_frame_without_bytes_is_refused(tmp_path: Path) -> None:
    columns = {"story_id": ["a"], "sentences": [["b"]], "frames": [[{"bytes": None, "path": "x.png"}]]}
    pq.write_table(pa.table(columns, schema=story_schema(None)), tmp_path / "train.parquet")
    with pytest.raises(StoryganError, match="embed the images"):
        list(read_stories(tmp_path, "train"))


def test_damaged_shard_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    write_shard(path, [story(n) for n in range(4)], NAMES)
    data = bytearray(path.read_bytes())
    data[100:400] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(StoryganError, match=r"train-00000-of-00001\.parquet is damaged"):
        list(read_stories(tmp_path, "train"))


def test_unreadable_shard_is_not_to_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "train.parquet"
    path.touch()
    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(StoryganError, match=r"train\.parquet cannot be read: Permission denied$"):
        read_metadata(path)


def test_repeated_text_that_unpacks_to_terabytes_is_refused(tmp_path: Path) -> None:
    """Two rows of a million sentences of a million letters, all the same: a dictionary page has them once."""
    sentences = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2 * 10**6, np.int32)), pa.array(["x" * 10**6]))
    table = pa.table(
        {
            "story_id": ["a", "b"],
            "sentences": pa.ListArray.from_arrays([0, 10**6, 2 * 10**6], sentences),
            "frames": pa.array([[], []], story_schema(None).field("frames").type),
        }
    )
    pq.write_table(table, tmp_path / "train.parquet", store_schema=False)
    assert (tmp_path / "train.parquet").stat().st_size < 2 * 10**6
    with pytest.raises(StoryganError, match=f"rows take 2,000,000,000,002 bytes: at most {MAX_BYTES:,}"):
        list(read_rows(tmp_path / "train.parquet"))


def test_row_group_that_unpacks_to_more_than_a_gigabyte_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / shard_name("train", 0, 1)
    write_shard(path, [story(1)], NAMES)
    size = pq.read_metadata(path).row_group(0).total_byte_size
    monkeypatch.setattr("storygan.data.schema.MAX_BYTES", size - 1)
    with pytest.raises(StoryganError, match=f"a row group has 1 rows and {size:,} bytes"):
        read_metadata(path)
