"""The CLEVR-SV grammar: parsing, formatting, and error messages."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storygan.errors import UsageError
from storygan.text.clevr import (
    ATTRIBUTES,
    COLOURS,
    LABELS,
    MATERIALS,
    SHAPES,
    SIZES,
    ClevrObject,
    format_sentence,
    parse_sentence,
    presence_labels,
)

CUBE = ClevrObject("cube", "red", "rubber", "large", 2.18, -2.85)
cents = st.integers(-300, 300).map(lambda n: n / 100)
objects = st.builds(
    ClevrObject,
    shape=st.sampled_from(SHAPES),
    colour=st.sampled_from(COLOURS),
    material=st.sampled_from(MATERIALS),
    size=st.sampled_from(SIZES),
    x=cents,
    y=cents,
)


def test_the_sentence_of_the_design_page() -> None:
    assert format_sentence(CUBE) == "large red rubber cube at (2.18, -2.85)"
    assert parse_sentence("large red rubber cube at (2.18, -2.85)") == CUBE


@given(objects)
def test_format_then_parse_gives_the_object_back(thing: ClevrObject) -> None:
    assert parse_sentence(format_sentence(thing)) == thing


@given(objects, st.data())
def test_order_case_article_commas_stop_and_synonyms_do_not_matter(thing: ClevrObject, data: st.DataObject) -> None:
    words = data.draw(st.permutations([thing.size, thing.colour, thing.material, thing.shape]))
    synonyms = {"metal": "metallic", "gray": "grey"}
    words = [synonyms.get(word, word) if data.draw(st.booleans()) else word for word in words]
    words = [word.upper() if data.draw(st.booleans()) else word for word in words]
    article = data.draw(st.sampled_from(["", "a ", "An ", "THE "]))
    separator = data.draw(st.sampled_from([" ", ", ", ",", "  "]))
    at = data.draw(st.sampled_from([" at ", " ", ", ", "", " At"]))
    sentence = article + separator.join(words) + f"{at}({thing.x}, {thing.y})" + data.draw(st.sampled_from(["", "."]))
    assert parse_sentence(sentence) == thing


def test_the_sentence_of_the_paper() -> None:
    yellow = ClevrObject("sphere", "yellow", "metal", "large", -2.1, 2.4)
    assert parse_sentence("yellow, large, metallic, sphere, (-2.1, 2.4)") == yellow
    assert parse_sentence("At (-2.1, 2.4), a yellow large metal sphere.") == yellow


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("large pink rubber cube at (1, 1)", ["'pink'", "colour: gray, red", "shape: cube"]),
        ("large red rubber at (1, 1)", ["no shape", "cube, sphere, cylinder"]),
        ("large red blue rubber cube at (1, 1)", ["two colours", "'red'", "'blue'"]),
        ("large red red rubber cube at (1, 1)", ["two colours"]),
        ("large red rubber cube", ["no position", "(2.18, -2.85)"]),
        ("large red rubber cube at 1, 1", ["no position"]),
        ("large red rubber cube at (3.01, 1)", ["x = 3.01", "[-3, 3]"]),
        ("large red rubber cube at (1, -3.5)", ["y = -3.5", "[-3, 3]"]),
        ("large red rubber cube at (nan, 1)", ["x 'nan'", "not a number"]),
        ("large red rubber cube at (inf, 1)", ["x 'inf'", "not a number"]),
        ("large red rubber cube at (1e0, 1)", ["x '1e0'", "not a number"]),
        ("large red rubber cube at (1_0, 1)", ["x '1_0'", "not a number"]),
        ("large red rubber cube at (٢, 1)", ["not a number"]),
        ("large red rubber cube at (1, 1, 1)", ["one (x, y)"]),
        ("large red rubber cube at (1)", ["one (x, y)"]),
        ("large red rubber cube at (1, 1", ["one (x, y)"]),
        ("large red rubber cube at (1, 1) (1, 1)", ["one (x, y)"]),
        ("large red rubber cube at ((1, 1))", ["one (x, y)"]),
        ("large red rubber cube) at (1, 1)", ["one (x, y)"]),
        ("large at red rubber cube at (1, 1)", ["'at'"]),
        ("large red rubber cube at (" + "9" * 200 + ", 1)", ["x = 1e+200", "[-3, 3]"]),
        ("", ["no position"]),
        ("(1, 1)", ["no size"]),
        ("large red rubber cube; at (1, 1)", ["'cube;'"]),
        ("large red rubber cube at (1, 1)..", ["'.'"]),
    ],
)
def test_other_sentences_are_errors_of_one_line(sentence: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sentence(sentence)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message


@pytest.mark.parametrize("filler", ["9", "(", ",", " ", "large ", "1.", "\n", "a" * 9 + "("])
def test_very_long_sentences_are_refused_at_once(filler: str) -> None:
    start = time.process_time()
    for sentence in (filler * 10_000, f"large red rubber cube at ({filler * 10_000}, 1)"):
        with pytest.raises(UsageError, match="characters"):
            parse_sentence(sentence)
    assert time.process_time() - start < 0.5


@given(st.text(max_size=400))
def test_any_text_is_an_object_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):  # any other exception fails the test
        parse_sentence(text)


def test_format_checks_values_as_parse_does() -> None:
    with pytest.raises(UsageError, match="x = 3\\.2"):
        format_sentence(ClevrObject("cube", "red", "rubber", "large", 3.2, 0))
    with pytest.raises(UsageError, match="nan"):
        format_sentence(ClevrObject("cube", "red", "rubber", "large", 0, float("nan")))
    with pytest.raises(UsageError, match="colour 'pink'"):
        format_sentence(ClevrObject("cube", "pink", "rubber", "large", 0, 0))


def test_a_rounded_zero_has_no_sign() -> None:
    assert format_sentence(ClevrObject("cube", "red", "rubber", "large", -0.001, 0)).endswith("(0.00, 0.00)")


def test_presence_labels_are_cumulative() -> None:
    rows = presence_labels([CUBE, ClevrObject("sphere", "gray", "rubber", "small", 0, 0)])
    assert [{name for name, bit in zip(LABELS, row, strict=True) if bit} for row in rows] == [
        {"cube", "red", "rubber", "large"},
        {"cube", "red", "rubber", "large", "sphere", "gray", "small"},
    ]
    assert len(LABELS) == sum(len(words) for words in ATTRIBUTES.values()) == 15
