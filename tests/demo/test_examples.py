"""Example and random stories can be generated."""

import pytest

from storygan.demo.examples import EXAMPLES, example, next_sentence, random_story
from storygan.demo.floor_plan import overlapping
from storygan.demo.story_input import check_story
from storygan.text.clevr import parse_sentence
from storygan.text.free_text import read_sentence

GRAMMARS = {"clevr": read_sentence, "sentence": None}


@pytest.mark.parametrize(("kind", "T"), [("clevr", 3), ("clevr", 4), ("clevr", 6), ("sentence", 5)])
def test_examples_and_random_stories_are_valid(kind: str, T: int) -> None:
    stories = [example(kind, k, T) for k in range(len(EXAMPLES[kind]))] + [
        random_story(kind, T, seed) for seed in range(5)
    ]
    for story in stories:
        assert check_story(story, T, GRAMMARS[kind]).problem == ""


def test_every_kind_has_the_same_number_of_examples() -> None:
    assert set(EXAMPLES) == set(GRAMMARS)
    assert len({len(examples) for examples in EXAMPLES.values()}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_next_object_is_at_a_free_location(seed: int) -> None:
    story = random_story("clevr", 4, seed)
    sentence = next_sentence("clevr", story.splitlines(), seed)
    assert not overlapping(parse_sentence(sentence), dict(enumerate(map(parse_sentence, story.splitlines()), 1)))


def test_the_next_sentence_of_plain_english_is_valid() -> None:
    assert check_story(next_sentence("sentence", ["Any story."], 0), 1, None).problem == ""
