"""The sample that ships with the package: small, sound, real, and ready to train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.data.check import check_dataset
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.data.schema import read_stories
from storygan.errors import StoryganError
from storygan.text.clevr import LABELS, parse_sentence, presence_labels


def test_it_is_small_and_sound(tmp_path: Path) -> None:
    files = write_sample(tmp_path / "sample")
    assert sum(file.stat().st_size for file in files) < 1_000_000
    report = check_dataset(tmp_path / "sample")
    assert report.problems == []
    assert (report.T, report.size) == (4, (64, 64))
    assert {name: split.stories for name, split in report.splits.items()} == {"train": 48, "test": 16}


def test_the_labels_follow_from_the_sentences(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    for split in ("train", "test"):
        for story in read_stories(tmp_path / "sample", split):
            assert story.labels == presence_labels([parse_sentence(sentence) for sentence in story.sentences])


def test_the_pictures_are_scenes_and_each_frame_adds_something(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    dataset = open_split(tmp_path / "sample", "train")
    assert dataset.label_names == LABELS
    assert dataset.frames.std(axis=(2, 3, 4)).min() > 5
    changed = (abs(dataset.frames[:, 1:].astype(int) - dataset.frames[:, :-1]) > 20).any(-1).sum((2, 3))
    assert changed.min() >= 5  # pixels, for the smallest object far away


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    with pytest.raises(StoryganError, match="already exists"):
        write_sample(tmp_path / "sample")
