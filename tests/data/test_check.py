"""A valid data set is described; problems of another are reported with file and row."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storygan.data.check import check_dataset
from storygan.data.schema import NO_NUISANCE, NuisanceColumns, Story, shard_name, story_schema, write_shard
from storygan.errors import StoryganError

NAMES = ("cube", "red")
T = 3


def png(size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def row(number: int, **changes: object) -> dict:
    """Return a valid row, with changes."""
    return {
        "story_id": f"s{number}",
        "sentences": ["one", "two words", "three words here"],
        "frames": [{"bytes": png(seed=10 * number + k), "path": None} for k in range(T)],
        "labels": [[1, 0], [1, 1], [0, 0]],
        **changes,
    }


def frames(*encoded: bytes | None) -> list[dict]:
    return [{"bytes": data, "path": None} for data in encoded]


def write(
    folder: Path,
    rows: list[dict],
    split: str = "train",
    names: tuple[str, ...] | None = NAMES,
    nuisance: NuisanceColumns = NO_NUISANCE,
    aspect_ratio: float = 1.0,
) -> None:
    """Write rows that write_shard would refuse."""
    table = pa.Table.from_pylist(rows, schema=story_schema(names, nuisance, aspect_ratio))
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / shard_name(split, 0, 1))


def test_valid_dataset_is_described(tmp_path: Path) -> None:
    stories = [Story(f"s{n}", ["one", "two words"], [png(), png()], [[1, 0], [1, 1]]) for n in range(4)]
    for split, index, count, part in (
        ("train", 0, 2, stories[:2]),
        ("train", 1, 2, stories[2:3]),
        ("test", 0, 1, stories[3:]),
    ):
        write_shard(tmp_path / shard_name(split, index, count), part, NAMES, aspect_ratio=1.5)
    report = check_dataset(tmp_path)
    assert report.problems == []
    answer = json.loads(json.dumps(report.to_dict()))
    assert (answer["T"], answer["size"], answer["aspect_ratio"]) == (2, [8, 8], 1.5)
    assert {name: split["stories"] for name, split in answer["splits"].items()} == {"train": 3, "test": 1}
    train = answer["splits"]["train"]
    assert (train["frames"], train["shards"]) == (6, 2)
    assert train["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("train-*"))
    assert train["labels"] == {"cube": 1.0, "red": 0.5}
    assert train["words"] == {"min": 1, "mean": 1.5, "max": 2}
    text = str(report)
    assert "stories of 2 frames of 8x8 pixels, aspect ratio 1.5\n" in text
    assert "train: 3 stories, 6 frames, 2 shards" in text
    assert "words per sentence: 1 to 2, mean 1.5" in text
    assert "cube 1.00, red 0.50" in text
    assert "no problems" in text


def test_without_labels(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 0, 1), [Story("s", ["one"], [png()])], None)
    report = check_dataset(tmp_path)
    assert report.problems == []
    assert report.splits["train"].to_dict()["labels"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"story_id": "s0"}, "the story id 's0' also occurs in train-00000-of-00001.parquet row 0"),
        ({"story_id": ""}, "no story id"),
        ({"story_id": None}, "no story id"),
        ({"sentences": ["one", "two"]}, "2 sentences but 3 frames"),
        ({"sentences": None}, "0 sentences but 3 frames"),
        ({"sentences": ["one", " ", "three"]}, "sentence 2 is empty"),
        ({"sentences": ["one", "two", None]}, "sentence 3 is empty"),
        ({"frames": frames(png(), b"\x89PNG", png())}, "frame 2: not a readable PNG or WebP image"),
        ({"frames": frames(png(), png(), None)}, "frame 3: not a readable PNG or WebP image"),
        ({"frames": frames(png(), png(), png()[:-30])}, "frame 3: not a readable PNG or WebP image"),
        ({"frames": frames(png(), png(mode="L"), png())}, "frame 2: the image is L, not RGB"),
        ({"labels": None}, "no labels"),
        ({"labels": [[1, 0], [1, 1]]}, "labels must be 3 rows of 2"),
        ({"labels": [[1, 0], [1, 1, 1], [0, 0]]}, "labels must be 3 rows of 2"),
        ({"labels": [[1, 0], [1, 2], [0, 0]]}, "labels must be 0 or 1"),
        ({"labels": [[1, 0], [1, None], [0, 0]]}, "labels must be 0 or 1"),
    ],
)
def test_problem_is_reported_with_file_and_row(tmp_path: Path, changes: dict, message: str) -> None:
    write(tmp_path, [row(0), row(1, **changes), row(2)])
    (problem,) = check_dataset(tmp_path).problems
    assert problem.startswith("train-00000-of-00001.parquet row 1: ")
    assert message in problem
    assert "\n" not in problem


NUISANCE = NuisanceColumns(("x", "y"), ("cosine", "sine"), foreground=True)


def mask(size: tuple[int, int] = (8, 8)) -> bytes:
    return png(size, "1")


def row_with_nuisance(number: int, **changes: object) -> dict:
    columns = {
        "story_nuisance": [0.5, -1.0],
        "frame_nuisance": [[None, None], [1.0, 0.5], [0.0, 2.0]],
        "foreground": frames(mask(), png(mode="L"), mask()),
    }
    return {**row(number), **columns, **changes}


def test_nuisance_columns_are_described(tmp_path: Path) -> None:
    write(tmp_path, [row_with_nuisance(0), row_with_nuisance(1)], nuisance=NUISANCE)
    report = check_dataset(tmp_path)
    assert report.problems == []
    assert "  nuisance: 2 values per story, 2 values per sentence; foreground masks\n" in str(report)
    answer = json.loads(json.dumps(report.to_dict()))["nuisance"]
    assert answer == {"story": ["x", "y"], "frame": ["cosine", "sine"], "foreground": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"story_nuisance": [0.5]}, "story_nuisance must be 2 values, it has 1"),
        ({"story_nuisance": None}, "story_nuisance must be 2 values, it has 0"),
        ({"story_nuisance": [0.5, float("nan")]}, "story_nuisance must be finite numbers"),
        ({"story_nuisance": [float("-inf"), 0.5]}, "story_nuisance must be finite numbers"),
        ({"story_nuisance": [None, 0.5]}, "story_nuisance must be finite numbers"),
        ({"frame_nuisance": [[0.0, 0.0]] * 2}, "frame_nuisance must be 3 rows of 2"),
        ({"frame_nuisance": [[0.0, 0.0], [0.0], None]}, "frame_nuisance must be 3 rows of 2"),
        ({"frame_nuisance": [[0.0, 0.0]] * 2 + [[0.0, float("nan")]]}, "frame_nuisance must be finite numbers or null"),
        ({"foreground": frames(mask(), mask())}, "2 foreground masks but 3 frames"),
        ({"foreground": None}, "0 foreground masks but 3 frames"),
        ({"foreground": frames(mask(), mask((9, 8)), mask())}, "foreground mask 2: 9x8 pixels, the frame has 8x8"),
        ({"foreground": frames(mask(), mask(), png())}, "foreground mask 3: the image is RGB, not 1 or L"),
        ({"foreground": frames(mask()[:-30], mask(), mask())}, "foreground mask 1: not a readable PNG image"),
        ({"foreground": frames(None, mask(), mask())}, "foreground mask 1: not a readable PNG image"),
    ],
)
def test_problem_of_nuisance_columns_is_reported(tmp_path: Path, changes: dict, message: str) -> None:
    rows = [row_with_nuisance(0), row_with_nuisance(1, **changes), row_with_nuisance(2)]
    write(tmp_path, rows, nuisance=NUISANCE)
    (problem,) = check_dataset(tmp_path).problems
    assert problem.startswith("train-00000-of-00001.parquet row 1: ")
    assert message in problem


def test_different_nuisance_columns_are_reported(tmp_path: Path) -> None:
    write(tmp_path, [row_with_nuisance(0)], nuisance=NUISANCE)
    write(tmp_path, [row(1)], "test")
    (problem,) = check_dataset(tmp_path).problems
    train, test = shard_name("train", 0, 1), shard_name("test", 0, 1)
    command = f"run `storygan data add-nuisance {tmp_path}`"
    assert problem == f"{test}: differs from {train} in nuisance: {command}"


def test_different_aspect_ratios_are_reported(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    write(tmp_path, [row(1)], "test", aspect_ratio=4 / 3)
    assert check_dataset(tmp_path).problems == [
        "test-00000-of-00001.parquet: differs from train-00000-of-00001.parquet in aspect ratio"
    ]


def test_minority_shape_is_reported_even_in_the_first_row(tmp_path: Path) -> None:
    odd = row(0, sentences=["a", "b"], frames=frames(png((9, 8)), png()), labels=[[0, 0], [0, 0]])
    write(tmp_path, [odd, row(1), row(2)])
    assert check_dataset(tmp_path).problems == [
        "train-00000-of-00001.parquet row 0: 2 frames, most stories have 3",
        "train-00000-of-00001.parquet row 0 frame 1: 9x8 pixels, most frames have 8x8",
    ]


def test_id_in_two_splits_is_reported(tmp_path: Path) -> None:
    write(tmp_path, [row(0), row(1)])
    write(tmp_path, [row(2), row(1)], "test")
    assert check_dataset(tmp_path).problems == [
        "test-00000-of-00001.parquet row 1: the story id 's1' also occurs in train-00000-of-00001.parquet row 1"
    ]


def test_missing_mixed_damaged_and_empty_shards_are_reported(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name("train", 2, 4), [Story("a", ["x"], [png()], [[0, 1]])], NAMES)
    write_shard(tmp_path / shard_name("validation", 0, 1), [Story("b", ["x"], [png()], [[0, 1]])], ("cube", "blue"))
    write_shard(tmp_path / shard_name("validation", 0, 2), [], NAMES)
    (tmp_path / shard_name("test", 0, 1)).write_bytes(b"not Parquet")
    problems = check_dataset(tmp_path).problems
    assert problems[0] == "train: 3 of 4 shards are missing, the first is 00000"
    assert problems[1] == "validation: shards of several counts (1, 2): remove the old ones"
    first = shard_name("train", 2, 4)
    assert problems[2] == f"validation-00000-of-00001.parquet: differs from {first} in label names"
    assert "test-00000-of-00001.parquet cannot be read as Parquet" in problems[3]
    assert problems[4] == "test: the split has no story"
    assert len(problems) == 5


def test_text_is_limited_to_twenty_problems(tmp_path: Path) -> None:
    write(tmp_path, [row(n, story_id="same") for n in range(31)])
    report = check_dataset(tmp_path)
    assert len(report.problems) == 30
    assert "30 problems" in str(report)
    assert "and 10 more" in str(report)


def test_folder_without_shards_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="holds no story shards"):
        check_dataset(tmp_path)
    with pytest.raises(StoryganError, match="is not a folder"):
        check_dataset(tmp_path / "nowhere")
