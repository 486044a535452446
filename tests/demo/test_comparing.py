"""What an edit changed is said in words and shown where it is."""

from dataclasses import replace

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.demo.html import compare, in_words, numbered
from storygan.models.storygan import StoryGAN

NEW = "large purple metal cube at (-0.4, 0.9)"


def test_a_changed_sentence(model: StoryGAN) -> None:
    before = editing.draw(model, STORY, seed=7)
    after = editing.change_sentence(model, before, 3, NEW, keep_context=True)
    words, rows = compare(before, after)
    assert words.startswith("Pictures 1 and 2 stayed exactly as they were. Pictures 3 and 4 changed")
    assert [row.label for row in rows] == ["Before", "After", "What changed: it glows there"]
    assert np.array_equal(rows[1].frames, after.frames[0])
    assert rows[2].captions[:2] == ["nothing", "nothing"]
    assert rows[2].captions[2] != "nothing"


def test_how_much_more_changed_where_it_was_called_for(model: StoryGAN) -> None:
    before = editing.draw(model, STORY, seed=7)
    frames, place = before.frames.copy(), np.zeros((64, 64), bool)
    place[:, :32] = True
    frames[0, 2, :, :32] ^= 128
    frames[0, 2, :, 32:] ^= 32
    words, _ = compare(before, replace(before, frames=frames), place)
    assert words.endswith("Picture 3 changed. Where the old and the new thing stand, 4.0 times as much as elsewhere.")
    assert "elsewhere" not in compare(before, replace(before, frames=frames), ~place)[0]


def test_one_more_picture_and_nothing_changed(model: StoryGAN) -> None:
    before = editing.draw(model, STORY, seed=7)
    words, rows = compare(before, editing.continue_story(model, before, NEW))
    assert words == "Picture 5 is new. Pictures 1, 2, 3 and 4 stayed exactly as they were."
    assert [len(row.frames) for row in rows] == [4, 5]


def test_a_change_that_is_hard_to_see_is_called_so(model: StoryGAN) -> None:
    before = editing.draw(model, STORY, seed=7)
    frames = before.frames.copy()
    frames[0, 0, 0, 0] ^= 4  # one pixel, by a few levels
    after = editing.Drawing(frames, before.story, before.S, before.S_0, before.noise, before.g, before.h)
    assert compare(before, after)[0].endswith("Picture 1 changed, but so little that it is hard to see.")
    assert compare(before, before)[0] == "Pictures 1, 2, 3 and 4 stayed exactly as they were."


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "nothing"), (0.1, "almost nothing (0.10)"), (0.5, "a little (0.50)"), (3.2, "a lot (3.20)")],
)
def test_amounts_in_words(amount: float, words: str) -> None:
    assert in_words(amount) == words


def test_numbers_of_pictures() -> None:
    assert [numbered(frames) for frames in ([2], [1, 4])] == ["Picture 2", "Pictures 1 and 4"]
