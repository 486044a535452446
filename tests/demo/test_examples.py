"""The stories to start from can be drawn."""

import pytest

from storygan.demo.checking import check_story
from storygan.demo.examples import EXAMPLES, example, surprise
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
