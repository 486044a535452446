"""Where an edit changes pictures, in numbers."""

import json

import numpy as np
import pytest

from storygan import editing
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.sample import write_sample
from storygan.errors import UsageError


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> StoryDataset:
    """Rendered stories: those that ship with the package."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return open_split(folder, "test")


def test_inside_and_outside() -> None:
    before = np.full((2, 3, 4, 4, 3), 100, np.uint8)
    after = before.copy()
    after[:, 1, 0, 0] = 90  # one pixel of 16
    after[1, 2] = 103  # one drawing of two
    place = np.zeros((4, 4), bool)
    place[:2, :2] = True
    found = editing.effect(before, after, place)
    np.testing.assert_allclose(found.everywhere, [0, 10 / 16, 1.5])
    np.testing.assert_allclose(found.inside, [0, 10 / 4, 1.5])
    np.testing.assert_allclose(found.outside, [0, 0, 1.5])
    assert json.loads(json.dumps(found.to_dict()))["inside"] == [0, 2.5, 1.5]
    assert "frame 3" in str(found).splitlines()[0]


def test_nowhere_in_particular() -> None:
    frames = np.zeros((1, 2, 4, 4, 3), np.uint8)
    found = editing.effect(frames, frames)
    assert found.to_dict() == {"everywhere": [0, 0], "inside": [None, None], "outside": [0, 0]}
    assert str(found).splitlines()[2].split() == ["inside", "-", "-"]


def test_a_longer_story_is_compared_as_far_as_both_go() -> None:
    assert len(editing.effect(np.zeros((1, 4, 8, 8, 3), np.uint8), np.zeros((1, 5, 8, 8, 3), np.uint8)).everywhere) == 4


def test_the_place_of_a_sentence_is_where_rendered_frames_gain_its_object(sample: StoryDataset) -> None:
    """Frame t shows one object more than frame t - 1: what changes lies in its place, but for shadows."""
    inside, outside, sizes = [], [], []
    for frames, story in zip(sample.frames, sample.sentences, strict=True):
        for t in range(1, sample.T):
            place = editing.place_of(story[t])
            found = editing.effect(frames[None, t - 1 : t], frames[None, t : t + 1], place)
            inside.append(found.inside[0])
            outside.append(found.outside[0])
            sizes.append(place.mean())
    assert np.mean(inside) > 15 * np.mean(outside)
    assert np.mean(sizes) < 0.15


def test_places_join() -> None:
    one, two = "large red rubber cube at (-1.8, 1.5)", "small blue metal cylinder at (1.2, 1.9)"
    both = editing.place_of(one, two)
    assert np.array_equal(both, editing.place_of(one) | editing.place_of(two))
    assert both.shape == (64, 64)
    assert editing.place_of(one, size=128).mean() == pytest.approx(editing.place_of(one).mean(), rel=0.5)
    assert not editing.place_of().any()
    with pytest.raises(UsageError, match="pink"):
        editing.place_of("large pink rubber cube at (-1.8, 1.5)")
