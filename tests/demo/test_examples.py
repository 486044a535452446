"""The stories to start from can be drawn."""

import pytest

from storygan.demo.examples import EXAMPLES, example, one_more, surprise
from storygan.demo.floor_plan import in_the_way, things_of
from storygan.demo.story_input import check_story
from storygan.text.clevr import parse_sentence

GRAMMARS = {"clevr": parse_sentence, "sentence": None}


@pytest.mark.parametrize(("kind", "T"), [("clevr", 3), ("clevr", 4), ("clevr", 6), ("sentence", 5)])
def test_examples_and_surprises_are_ready_to_draw(kind: str, T: int) -> None:
    stories = [example(kind, title, T) for title in EXAMPLES[kind]] + [surprise(kind, T, seed) for seed in range(5)]
    for story in stories:
        assert check_story(story, T, GRAMMARS[kind]).problem == ""


def test_kinds_are_those_of_the_sentence_encoders_and_have_as_many_examples() -> None:
    assert set(EXAMPLES) == set(GRAMMARS)
    assert len({len(examples) for examples in EXAMPLES.values()}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_one_more_object_stands_where_the_floor_is_free(seed: int) -> None:
    story = surprise("clevr", 4, seed)
    sentence = one_more("clevr", story.splitlines(), seed)
    assert not in_the_way(parse_sentence(sentence), things_of(story, 4))


def test_one_more_sentence_of_plain_english() -> None:
    assert check_story(one_more("sentence", ["Any story."], 0), 1, None).problem == ""
