"""The training story nearest in text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from storygan.data.dataset import open_split
from storygan.evaluation import nearest_story
from storygan.evaluation.measure import nearest_stories, training_split
from storygan.evaluation.nearest_story import nearest_story_indices


def test_clevr_stories_are_compared_by_attributes_and_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_story, "BATCH", 2)
    training = [
        ["large red rubber cube at (2, 2)", "small blue metal sphere at (-2, 0)"],
        ["large red rubber cube at (-2, -2)", "small blue metal sphere at (0, 2)"],
        ["small blue metal sphere at (0, 2)", "large red rubber cube at (-2, -2)"],
        ["large green rubber cube at (-2, -2)", "small blue metal sphere at (0, 2)"],
    ]
    stories = [["large red rubber cube at (-1.8, -2)", "small blue metal sphere at (0.1, 2)"], training[3], training[2]]
    assert nearest_story_indices(stories, training).tolist() == [1, 3, 2]


def test_rare_words_of_the_same_sentence_count_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_story, "BATCH", 3)
    training = [["Pororo walks in the snow.", "Pororo sings."]] * 5
    training += [["Crong sleeps in the snow.", "Pororo sings."], ["Pororo sings.", "Crong sleeps."]]
    stories = [["Crong is sleeping.", "Pororo sings a song."], ["Pororo walks.", "He sings."], ["Loopy.", "Eddy."]]
    assert nearest_story_indices(stories, training).tolist() == [5, 0, 0]


def test_frames_are_those_of_thetraining_split(sample: Path) -> None:
    dataset, train = open_split(sample, "test").subset(range(3)), open_split(sample, "train")
    frames = nearest_stories(training_split(sample, dataset), dataset)
    nearest = nearest_story_indices(dataset.sentences, train.sentences)
    assert np.array_equal(frames, train.frames[nearest])
    assert nearest_stories(train, train.subset(range(3))) is None, "each story would be nearest to itself"
