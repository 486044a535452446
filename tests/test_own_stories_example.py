"""The example that makes stories of one's own: they can be imported, and their frames differ."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from storygan.data.check import check_dataset
from storygan.data.dataset import open_split
from storygan.data.importers.own_stories import import_own_stories

EXAMPLE = Path(__file__).parents[1] / "examples/own_stories.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    runpy.run_path(str(EXAMPLE))["main"](folder / "pictures")
    summary = import_own_stories(folder / "pictures", folder / "data")
    assert (summary.stories, summary.problems, summary.skipped) == ({"train": 16, "test": 4}, [], {})
    return folder / "data"


def test_twenty_stories_that_name_what_they_show(data: Path) -> None:
    assert not check_dataset(data).problems
    train, test = open_split(data, "train"), open_split(data, "test")
    assert train.label_names == ("cat", "ghost", "lantern", "letter", "robot")
    for part in (train, test):
        assert part.labels is not None
        for story, rows in zip(part.sentences, part.labels, strict=True):
            assert [name for name, bit in zip(train.label_names, rows[0], strict=True) if bit] == [
                name for name in train.label_names if name in story[0]
            ]
    assert not {story[0] + story[3] for story in train.sentences} & {story[0] + story[3] for story in test.sentences}


def test_every_sentence_changes_the_picture(data: Path) -> None:
    frames = open_split(data, "train").frames.astype(int)
    changed = (np.abs(frames[:, 1:] - frames[:, :-1]).max(-1) > 40).mean((2, 3))
    assert changed.min() > 0.005
    assert changed[:, 0].min() > 0.04, "a second character"
