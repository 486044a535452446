"""The public Flintstones-SV layout: first frames of clips, with and without caches, overlaps, gaps."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.importers.layouts import NAMES, write_flintstones_sv, write_json

from storygan.data.images import decode_frame
from storygan.data.importers.flintstones_sv import CHARACTERS, following_ids, import_flintstones_sv
from storygan.data.schema import read_metadata, read_stories, shard_paths
from storygan.errors import StoryganError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_flintstones_sv(tmp_path / "root")
    return tmp_path / "root"


def test_frames_have_the_given_size(root: Path, tmp_path: Path) -> None:
    import_flintstones_sv(root, tmp_path / "out", size=128)
    story = next(read_stories(tmp_path / "out", "train"))
    assert {decode_frame(frame).shape for frame in story.frames} == {(128, 128, 3)}


def test_sentences_labels_first_frames_and_splits(root: Path, tmp_path: Path) -> None:
    summary = import_flintstones_sv(root, tmp_path / "out")
    assert (summary.stories, summary.skipped) == ({"train": 3, "validation": 1}, {})
    assert summary.notes == [
        "ids that start no story, as fewer than four of the episode follow: 5",
        "1 of 1 stories of validation share a frame with train",
    ]
    second = list(read_stories(tmp_path / "out", "train"))[1]
    assert (second.story_id, second.sentences[4]) == (NAMES[1], "Clip 5.")
    assert [decode_frame(frame)[0, 0, 0] for frame in second.frames] == [10, 20, 30, 40, 50]
    assert second.labels == [[1, 0, 0, 0, 0, 0, 1]] * 5
    assert read_metadata(shard_paths(tmp_path / "out", "train")[0]).label_names == CHARACTERS


def test_without_cache_and_labels(root: Path, tmp_path: Path) -> None:
    (root / "labels.pkl").unlink()
    (root / "following_cache4.pkl").unlink()
    summary = import_flintstones_sv(root, tmp_path / "out")
    assert summary.stories == {"train": 3, "validation": 1}
    assert len(summary.notes) == 4
    assert summary.notes[2] == "ids that start no story, as fewer than four of the episode follow: 5"
    first = next(read_stories(tmp_path / "out", "train"))
    assert first.labels == [[0, 0, 0, 0, 0, 0, 1]] * 5


def test_no_complete_story_is_an_error_with_the_reason(root: Path, tmp_path: Path) -> None:
    (root / "following_cache4.pkl").unlink()
    write_json(root / "train-val-test_split.json", {"train": NAMES[:4]})
    with pytest.raises(StoryganError, match=r"no complete story; note: .* fewer than four of the episode follow: 4"):
        import_flintstones_sv(root, tmp_path / "out")


def test_stories_stay_within_an_episode() -> None:
    following = following_ids(set(NAMES))
    assert list(following) == NAMES[:4]
    assert following[NAMES[3]] == NAMES[4:8]


def test_incomplete_stories_are_skipped(root: Path, tmp_path: Path) -> None:
    clips = root / "video_frames_sampled"
    (clips / f"{NAMES[0]}.npy").unlink()
    np.save(clips / f"{NAMES[7]}.npy", np.zeros((0, 128, 128, 3), np.uint8))
    summary = import_flintstones_sv(root, tmp_path / "out")
    assert summary.stories == {"train": 2}
    assert summary.skipped["stories with a missing image"] == [NAMES[0]]
    assert summary.skipped["stories with an unreadable image"][0].startswith(f"{NAMES[3]} (frames uint8 (0, 128")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-val-test_split.json", "{", "is not JSON"),
        ("train-val-test_split.json", '{"dev": []}', "is not lists of ids"),
        ("flintstones_annotations_v1-0.json", "[1]", "is not a list of annotations"),
        ("labels.pkl", pickle.dumps({NAMES[0]: [1]}), "must be 7 values"),
        ("following_cache4.pkl", pickle.dumps({NAMES[0]: [NAMES[1]]}), "followed by 1 ids"),
        ("labels.pkl", pickle.dumps([1]), "does not hold a dict"),
    ],
)
def test_other_layout_is_a_one_line_error(
    root: Path, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StoryganError, match=message):
        import_flintstones_sv(root, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
