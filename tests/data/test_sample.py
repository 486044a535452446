"""The sample data set that ships with the package: small, valid, and usable for training."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.data.check import check_dataset
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.data.schema import read_stories
from storygan.errors import StoryganError
from storygan.text.clevr import LABELS, parse_sentence, presence_labels


def test_small_and_valid(tmp_path: Path) -> None:
    files = write_sample(tmp_path / "sample")
    assert sum(file.stat().st_size for file in files) < 1_000_000
    report = check_dataset(tmp_path / "sample")
    assert report.problems == []
    assert (report.T, report.size, report.aspect_ratio) == (4, (64, 64), 4 / 3)
    assert {name: split.stories for name, split in report.splits.items()} == {"train": 48, "test": 16}


def test_labels_match_the_sentences(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    for split in ("train", "test"):
        for story in read_stories(tmp_path / "sample", split):
            assert story.labels == presence_labels([parse_sentence(sentence) for sentence in story.sentences])


def test_each_frame_adds_an_object(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    dataset = open_split(tmp_path / "sample", "train")
    assert dataset.label_names == LABELS
    assert dataset.frames.std(axis=(2, 3, 4)).min() > 5
    changed = (abs(dataset.frames[:, 1:].astype(int) - dataset.frames[:, :-1]) > 20).any(-1).sum((2, 3))
    assert changed.min() >= 5  # pixels, for the smallest object far away


def test_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    with pytest.raises(StoryganError, match="already exists"):
        write_sample(tmp_path / "sample")
