"""The original CLEVR-SV layout: small synthetic folders, and the official sample where it exists."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.data.schema import read_metadata, read_stories, shard_paths, splits
from storygan.errors import StoryganError
from storygan.text.clevr import COLOURS, LABELS, MATERIALS, SHAPES, SIZES, ClevrObject, parse_sentence

THINGS = [
    ClevrObject("cube", "red", "rubber", "large", 2.18, -2.85),
    ClevrObject("sphere", "yellow", "metal", "small", 0.5, 1.0),
    ClevrObject("cube", "red", "metal", "small", -1.25, 0.0),
    ClevrObject("cylinder", "gray", "rubber", "large", 0.0, -2.0),
]


def vector(things: list[ClevrObject]) -> np.ndarray:
    """Return the description (75,) of a frame with these objects."""
    values = np.zeros(75)
    values[72:] = (0.656, 0.754, 0.0)
    for slot, thing in enumerate(things):
        attributes = [(thing.shape, SHAPES), (thing.colour, COLOURS), (thing.material, MATERIALS), (thing.size, SIZES)]
        one_hots = [float(value == option) for value, options in attributes for option in options]
        values[slot * 18 : (slot + 1) * 18] = [*one_hots, thing.x, thing.y, 0.7]
    return values


def picture(path: Path, colour: tuple[int, int, int]) -> None:
    """Save 320x240 RGBA, left half of the colour, right half black, with an alpha to be ignored."""
    pixels = np.zeros((240, 320, 4), np.uint8)
    pixels[:, :160, :3] = colour
    pixels[..., 3] = 7
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "images").mkdir(parents=True)
    descriptions = {}
    for number in (3, 4, 12):
        for k in range(1, 5):
            name = f"CLEVR_new_{number:06d}_{k}.png"
            descriptions[name] = vector(THINGS[:k])
            picture(root / "images" / name, (60 * k, 10, number))
    save(root, descriptions)
    return root


def save(root: Path, descriptions: object) -> None:
    """Save as Python 2: protocol 2."""
    array = np.empty((), dtype=object)
    array[()] = descriptions
    with (root / "CLEVR_dict.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(array, file, 2)


def load(root: Path) -> dict[str, np.ndarray]:
    return np.load(root / "CLEVR_dict.npy", allow_pickle=True).item()


def test_frames_have_the_given_size(root: Path, tmp_path: Path) -> None:
    import_clevr_sv(root, tmp_path / "out", size=128)
    story = next(read_stories(tmp_path / "out", "test"))
    assert {Image.open(io.BytesIO(frame)).size for frame in story.frames} == {(128, 128)}


def test_sentences_labels_and_pixels(root: Path, tmp_path: Path) -> None:
    summary = import_clevr_sv(root, tmp_path / "out")
    assert (summary.stories, summary.frames, summary.skipped) == ({"test": 3}, 12, {})
    first = next(read_stories(tmp_path / "out", "test"))
    assert first.story_id == "clevr-sv-000003"
    assert [parse_sentence(sentence) for sentence in first.sentences] == THINGS
    metadata = read_metadata(shard_paths(tmp_path / "out", "test")[0])
    assert (metadata.label_names, metadata.aspect_ratio) == (LABELS, ASPECT)
    assert first.labels is not None
    named = [{name for name, bit in zip(LABELS, row, strict=True) if bit} for row in first.labels]
    assert named[0] == {"cube", "red", "rubber", "large"}
    assert named[3] == {"cube", "sphere", "cylinder", "red", "yellow", "gray", "rubber", "metal", "large", "small"}
    for k, encoded in enumerate(first.frames, start=1):
        image = Image.open(io.BytesIO(encoded))
        assert (image.size, image.mode, image.format) == ((64, 64), "RGB", "PNG")
        pixels = np.asarray(image)
        assert (pixels[:, :31] == (60 * k, 10, 3)).all()
        assert (pixels[:, 33:] == 0).all()


def test_first_stories_go_to_train(root: Path, tmp_path: Path) -> None:
    assert import_clevr_sv(root, tmp_path / "out", train_below=10).stories == {"train": 2, "test": 1}
    assert splits(tmp_path / "out") == ["train", "test"]


def test_incomplete_stories_are_skipped(root: Path, tmp_path: Path) -> None:
    descriptions = load(root)
    for number, drop in (
        (20, "pictures"),
        (21, "pictures"),
        (30, "descriptions"),
        (40, "one"),
        (41, "one description"),
    ):
        for k in range(1, 5):
            name = f"CLEVR_new_{number:06d}_{k}.png"
            if drop != "descriptions" and not (drop == "one description" and k == 2):
                descriptions[name] = vector(THINGS[:k])
            if drop != "pictures" and not (drop == "one" and k == 3):
                picture(root / "images" / name, (0, 0, 0))
    descriptions["CLEVR_new_000012_2.png"][18] = 1  # two shapes in slot 2
    save(root, descriptions)
    (root / "images" / "Thumbs.db").write_bytes(b"")
    cut = root / "images" / "CLEVR_new_000004_2.png"
    cut.write_bytes(cut.read_bytes()[:60])

    summary = import_clevr_sv(root, tmp_path / "out")
    assert summary.stories == {"test": 1}
    reasons = summary.skipped
    assert reasons["stories without images"] == ["000020", "000021"]
    assert reasons["stories without descriptions"] == ["000030"]
    assert reasons["stories with a missing image"] == ["000040"]
    assert reasons["stories with a missing description"] == ["000041"]
    assert reasons["not the name of a CLEVR-SV image"] == ["Thumbs.db"]
    assert reasons["stories with an unreadable image"][0].startswith("000004 (")
    assert reasons["stories with an invalid description"][0].startswith("000012 (slot 2 has")
    assert len(reasons) == 7
    assert "skipped 2: stories without images: 000020-000021" in str(summary)


def test_shards_are_numbered_after_skipping(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last story is alone in the second of two shards, and its image is truncated."""
    monkeypatch.setattr("storygan.data.importers.common.STORIES_PER_SHARD", 2)
    truncated = root / "images" / "CLEVR_new_000012_4.png"
    truncated.write_bytes(truncated.read_bytes()[:50])
    assert import_clevr_sv(root, tmp_path / "out").stories == {"test": 2}
    assert [path.name for path in shard_paths(tmp_path / "out", "test")] == ["test-00000-of-00001.parquet"]


def test_exploit_in_the_dictionary_does_not_run(root: Path, tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    save(root, {"CLEVR_new_000003_1.png": Exploit()})
    with pytest.raises(StoryganError, match="none of its code was run"):
        import_clevr_sv(root, tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("descriptions", "message"),
    [
        ([1, 2], "does not hold a dict"),
        ({"CLEVR_new_000003_1.png": np.zeros(72)}, r"must be 75 numbers, it is \(72,\)"),
        ({"CLEVR_new_000003_1.png": "x"}, "must be 75 numbers, it is str"),
        ({}, "holds no complete story"),
    ],
)
def test_other_layout_is_a_one_line_error(root: Path, tmp_path: Path, descriptions: object, message: str) -> None:
    save(root, descriptions)
    with pytest.raises(StoryganError, match=message) as caught:
        import_clevr_sv(root, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_missing_files_and_an_existing_output_are_errors(root: Path, tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"CLEVR_dict\.npy cannot be opened"):
        import_clevr_sv(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(StoryganError, match="already exists"):
        import_clevr_sv(root, root)
    (root / "images").rename(root / "pictures")
    with pytest.raises(StoryganError, match="images is missing"):
        import_clevr_sv(root, tmp_path / "out")


def test_official_sample(tmp_path: Path, official: Path) -> None:
    summary = import_clevr_sv(official, tmp_path / "out")
    assert (summary.stories, summary.frames) == ({"test": 48}, 192)
    assert summary.skipped == {
        "stories without images": [f"{n:06d}" for n in range(148, 196)],
        "stories without descriptions": ["000196"],
    }
    stories = list(read_stories(tmp_path / "out", "test"))
    assert [story.story_id for story in stories] == [f"clevr-sv-{n:06d}" for n in range(100, 148)]
    for story in stories:
        assert story.labels is not None
        for k, sentence in enumerate(story.sentences):
            thing = parse_sentence(sentence)
            named = {name for name, bit in zip(LABELS, story.labels[k], strict=True) if bit}
            assert {thing.shape, thing.colour, thing.material, thing.size} <= named
