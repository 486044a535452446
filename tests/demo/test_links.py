"""Links that hold a story."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from tests.demo.conftest import STORY

from storygan.demo.history import generate_samples
from storygan.demo.links import Link, link_to, read_link
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN

DEFAULT = Link("m", "the example", 7, 1)


@pytest.mark.parametrize("total", [1, 3])
def test_a_link_has_the_story_the_seed_and_the_samples(model: StoryGAN, total: int) -> None:
    samples = replace(generate_samples("m", model, STORY, total, seed=12), model="a&b=ü")
    query = dict(parse_qsl(link_to(samples).removeprefix("?"), strict_parsing=True))
    assert read_link(query, DEFAULT) == Link("a&b=ü", "\n".join(STORY), 12, total)


def test_what_a_link_does_not_have_is_the_default() -> None:
    assert read_link({}, DEFAULT) == DEFAULT
    assert read_link({"story": " a \n\n b "}, DEFAULT) == Link("m", "a\nb", 7, 1)
    assert read_link({"seed": "3", "__theme": "dark"}, DEFAULT) == DEFAULT._replace(seed=3)


@pytest.mark.parametrize("name", ["seed", "samples"])
@pytest.mark.parametrize("value", ["", "-1", "1.5", "9" * 5000, "2147483648", "²", "x", " 1"])
def test_a_number_out_of_range_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"The {name} in this link must be a whole number from"):
        read_link({"story": "a", name: value}, DEFAULT)


@pytest.mark.parametrize("story", ["x" * 10_000, "a\0b"])
def test_a_story_that_is_too_long_or_no_text_is_refused(story: str) -> None:
    with pytest.raises(UsageError, match="This link"):
        read_link({"story": story}, DEFAULT)
