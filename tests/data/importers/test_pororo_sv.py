"""The public Pororo-SV layout: keys, strips, cache order, overlaps, gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.importers.layouts import EPISODE, FRAMES, SEASON, key, ragged, save, strip, write_pororo_sv

from storygan.data.check import check_dataset
from storygan.data.images import decode_frame
from storygan.data.importers.pororo_sv import CHARACTERS, import_pororo_sv
from storygan.data.schema import Story, read_metadata, read_stories, shard_paths
from storygan.errors import StoryganError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pororo_sv(tmp_path / "root")
    return tmp_path / "root"


def stories(folder: Path, split: str) -> list[Story]:
    return list(read_stories(folder, split))


def test_frames_of_128_keep_the_pixels_of_the_strips(root: Path, tmp_path: Path) -> None:
    import_pororo_sv(root, tmp_path / "out", size=128)
    frames = [decode_frame(frame) for frame in stories(tmp_path / "out", "train")[0].frames]
    assert [frame.shape for frame in frames] == [(128, 128, 3)] * 5


def test_sentences_labels_first_squares_and_splits(root: Path, tmp_path: Path) -> None:
    summary = import_pororo_sv(root, tmp_path / "out")
    assert (summary.stories, summary.skipped) == ({"train": 3, "validation": 1, "test": 2}, {})
    assert "split by train_seen_unseen_ids.npy" in summary.notes
    assert "1 of 1 stories of validation share a frame with train" in summary.notes
    first = stories(tmp_path / "out", "train")[0]
    assert first.story_id == f"{EPISODE}/1"
    assert first.sentences == [f"Frame {f}, first description." for f in range(1, 6)]
    assert first.labels == np.eye(9, dtype=int)[1:6].tolist()
    assert read_metadata(shard_paths(tmp_path / "out", "train")[0]).label_names == CHARACTERS
    for frame, encoded in enumerate(first.frames, start=1):
        pixels = decode_frame(encoded)
        assert pixels.shape == (64, 64, 3)
        assert (pixels == 10 * frame).all()
    assert not check_dataset(tmp_path / "out").problems


def test_wrapped_str_keys_and_the_split_of_the_paper(root: Path, tmp_path: Path) -> None:
    wrapped = np.empty(8, dtype=object)
    wrapped[:] = [f"b'{key(f)}.png'" for f in range(1, 9)]
    np.save(root / "img_cache4.npy", wrapped, allow_pickle=True)
    save(root / "labels.npy", {key(f): [0] * 9 for f in range(1, FRAMES + 1)})
    (root / "descriptions.csv").unlink()
    save(root / "descriptions.npy", {f"b'{key(f)}'": [f"Sentence  {f}.", "Another."] for f in range(1, FRAMES + 1)})
    np.save(root / "train_test_ids.npy", np.array([[7, 6], [0, 1]]))
    summary = import_pororo_sv(root, tmp_path / "out", ids="train_test_ids.npy")
    assert summary.stories == {"train": 2, "test": 2}
    assert [story.story_id for story in stories(tmp_path / "out", "train")] == [f"{EPISODE}/8", f"{EPISODE}/7"]
    assert stories(tmp_path / "out", "test")[0].sentences[0] == "Sentence 1."


def test_bytes_of_python_2_are_utf_8(root: Path, tmp_path: Path) -> None:
    """Pickled bytes of Python 2 load as latin-1; text of Python 3 stays."""
    (root / "descriptions.csv").unlink()
    sentences = {1: "Caf\u00e9.".encode().decode("latin1"), 2: "Caf\u00e9."}
    save(root / "descriptions.npy", {key(f): [sentences.get(f, "A sentence.")] for f in range(1, FRAMES + 1)})
    import_pororo_sv(root, tmp_path / "out")
    assert stories(tmp_path / "out", "train")[0].sentences[:3] == ["Caf\u00e9.", "Caf\u00e9.", "A sentence."]


def test_without_a_cache_stories_are_in_string_order(root: Path, tmp_path: Path) -> None:
    for name in ("img_cache4.npy", "following_cache4.npy", "labels.npy"):
        (root / name).unlink()
    with (root / "descriptions.csv").open("a") as file:
        file.writelines(f"{EPISODE},{frame},More.\n" for frame in range(13, 15))
    for frame in (13, 14):
        strip(root / SEASON / EPISODE / f"{frame}.png", frame)
    summary = import_pororo_sv(root, tmp_path / "out")
    assert [story.story_id for story in stories(tmp_path / "out", "train")] == [f"{EPISODE}/{n}" for n in (1, 10, 2)]
    assert stories(tmp_path / "out", "train")[0].labels is None
    assert any(note.startswith("no img_cache4.npy") for note in summary.notes)
    assert any(note.startswith("no labels") for note in summary.notes)


def test_index_in_two_splits_goes_to_the_later(root: Path, tmp_path: Path) -> None:
    np.save(root / "train_seen_unseen_ids.npy", ragged([0, 1, 1, 6], [0], [6]), allow_pickle=True)
    summary = import_pororo_sv(root, tmp_path / "out")
    assert summary.stories == {"train": 1, "validation": 1, "test": 1}
    assert summary.skipped == {
        "stories of train that are also in validation (kept there)": [f"{EPISODE}/1"],
        "stories of train that are also in test (kept there)": [f"{EPISODE}/7"],
        "stories that are in train twice (kept once)": [f"{EPISODE}/2"],
    }
    assert not check_dataset(tmp_path / "out").problems


def test_incomplete_stories_are_skipped(root: Path, tmp_path: Path) -> None:
    np.save(root / "train_seen_unseen_ids.npy", ragged(list(range(8)), [], []), allow_pickle=True)
    folder = root / SEASON / EPISODE
    (folder / "12.png").unlink()
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("RGB", (256, 128)).save(folder / "2.png")
    save(root / "labels.npy", {key(f): [0] * 9 for f in range(1, FRAMES + 1) if f != 3})
    summary = import_pororo_sv(root, tmp_path / "out")
    assert summary.stories == {"train": 4}
    unreadable = summary.skipped["stories with an unreadable image"]
    assert unreadable[1] == f"{EPISODE}/2 (2.png is 256x128, not a vertical strip of square frames)"
    assert summary.skipped["stories with a missing image"] == [f"{EPISODE}/8"]
    assert summary.skipped["stories with a frame without labels"] == [f"{EPISODE}/3"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_seen_unseen_ids.npy", np.array([[0], [99]]), "beyond the 8"),
        ("train_seen_unseen_ids.npy", np.array([1, 2, 3, 4]), "two or three lists"),
        ("following_cache4.npy", np.array([[b"a/1.png"] * 4] * 2), "the same number of stories"),
        ("img_cache4.npy", np.array([b"nonsense"] * 8), "'nonsense' is not the path"),
        ("labels.npy", np.array([1]), "does not hold a dict"),
    ],
)
def test_other_layout_is_a_one_line_error(
    root: Path, tmp_path: Path, name: str, content: np.ndarray, message: str
) -> None:
    np.save(root / name, content)
    with pytest.raises(StoryganError, match=message) as caught:
        import_pororo_sv(root, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="it is not Pororo-SV"):
        import_pororo_sv(tmp_path, tmp_path / "out")
