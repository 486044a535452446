"""The vocabulary of a model, and the words of a story that are not in it."""

from __future__ import annotations

import re

import pytest

from storygan.data.toon.language import CHARACTERS
from storygan.data.toon.templates import EVENTS, LINKS, PLACES, SKIES, SKY_CHANGES
from storygan.data.toon.world import THINGS
from storygan.models.storygan import SHIPPED
from storygan.text.encoder import VOCABULARY_FILE, fit_sentence_encoder, load_sentence_encoder
from storygan.text.vocabulary import content_words, describe_unknown, stem, unknown_words, vocabulary_of

TOON = (SHIPPED / "toon-sv" / VOCABULARY_FILE).read_text().split()


def test_the_most_frequent_words_come_first() -> None:
    assert vocabulary_of(["A fox finds a kite.", "The fox has found it."]) == ("fox", "finds", "found", "kite")


@pytest.mark.parametrize(
    "words",
    ["walk walks walked walking", "stop stops stopped", "ride rides riding", "carry carries carried", "snow snowy"],
)
def test_forms_of_a_word_have_one_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


@pytest.mark.parametrize("words", ["fox frog", "night knight", "ball balloon", "sun sky", "cat castle"])
def test_other_words_have_other_stems(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 2


def test_unknown_words_in_order_and_once() -> None:
    story = ["A knight rides to the castle.", "Then the knight's fox walked home on a ball!"]
    assert unknown_words(story, TOON) == ["knight", "rides", "castle"]
    assert unknown_words(story, ()) == [], "an old model has no vocabulary"
    assert content_words("She and they are with it, don't you see?") == ["see"]


def test_the_line_stays_short() -> None:
    line = describe_unknown([f"word{n}" for n in range(500)], TOON, "toon-sv")
    assert line.startswith("'word0', 'word1'")
    assert len(line) < 400
    assert describe_unknown(["knight"], ["fox"], "m") == "'knight': not in the training sentences of m; known: fox"


def test_the_shipped_vocabulary_is_that_of_the_templates() -> None:
    tables = (EVENTS, SKY_CHANGES, PLACES, SKIES)
    templates = [text for table in tables for kind in table.values() for text in kind.seen]
    cast = [f"{who.name} the {who.species}" for who in CHARACTERS.values()]
    texts = [re.sub(r"\{\w+\}", " ", text) for text in (*templates, *cast, *THINGS, *LINKS)]
    assert set(content_words(" ".join(texts))) == set(TOON)
    assert load_sentence_encoder(SHIPPED / "toon-sv").vocabulary == tuple(TOON)
    assert load_sentence_encoder(SHIPPED / "clevr-sv").vocabulary == ()


def test_a_story_of_toon_sv_has_no_unknown_words() -> None:
    story = [
        "Fay the fox stands in the snowy field in the evening.",
        "She finds a kite.",
        "Ben comes along.",
        "They cheer.",
    ]
    assert unknown_words(story, TOON) == []


def test_a_loaded_encoder_learns_the_words_of_the_stories_that_it_is_trained_on() -> None:
    stories = [["A cat sees a fox."], ["The cat sleeps."]]
    once = fit_sentence_encoder("sentence", stories, SHIPPED / "toon-sv").vocabulary
    assert once[:4] == ("cat", "fox", "sees", "sleeps")
    assert set(once) == {"cat", "sees", *TOON}
    assert fit_sentence_encoder("clevr", stories[:0], SHIPPED / "clevr-sv").vocabulary == ()
