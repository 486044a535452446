"""Checks of the story and the numbers that a visitor sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.demo.conftest import STORY

from storygan.demo.story_input import MAX_CHARACTERS, MAX_CHECKED, check_story, grammar_of, text_of_file, whole_number
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.free_text import read_sentence


def test_a_good_story_has_no_problem() -> None:
    report = check_story("\n\n  ".join(STORY) + "\n", 4, read_sentence)
    assert report.problem == ""
    assert [line.sentence for line in report.lines] == list(STORY)
    assert not any(line.problem for line in report.lines)


def test_an_unknown_word_is_named_in_its_line() -> None:
    report = check_story("\n".join([*STORY[:3], "small pink metal cube at (0, 0)"]), 4, read_sentence)
    assert [bool(line.problem) for line in report.lines] == [False, False, False, True]
    assert "'pink'" in report.lines[3].problem
    assert report.problem == "Please fix sentence 4."


@pytest.mark.parametrize(
    ("count", "problem"),
    [(0, "Write a sentence"), (1, ""), (3, ""), (8, ""), (9, "Remove sentences: this story has 9")],
)
def test_a_story_has_1_to_2_T_sentences(count: int, problem: str) -> None:
    found = check_story("\n".join((STORY * 3)[:count]), 4, read_sentence).problem
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_free_text_has_its_canonical_sentence() -> None:
    report = check_story("a red ball\na pink cow", 4, read_sentence)
    assert report.lines[0].canonical == read_sentence("a red ball", [])
    assert report.lines[1].canonical == "a pink cow"
    assert check_story("a red ball", 4, None).lines[0].canonical == "a red ball"


def test_a_line_of_10_000_characters_is_refused_with_any_model() -> None:
    for grammar in (read_sentence, None):
        report = check_story("x" * 10_000 + "\nb\nc\nd", 4, grammar)
        assert "10000 characters" in report.lines[0].problem
        assert len(report.lines[0].sentence) == MAX_CHARACTERS


def test_each_sentence_of_a_long_story_is_checked() -> None:
    report = check_story("\n".join(["a"] * 19 + ["x" * 301]), 10, None)
    assert report.problem == "Please fix sentence 20."


def test_free_text_is_checked_with_the_objects_before_it() -> None:
    text = "a red ball\nbehind it a small blue box\nbehind the can a cube\nanother one"
    problems = [line.problem for line in check_story(text, 4, read_sentence).lines]
    assert ["no cylinder" in problem for problem in problems] == [False, False, True, False]
    assert check_story("a tiny can in front of the cube", 1, read_sentence, before=STORY).problem == ""


def test_a_model_of_plain_english_takes_any_sentence(model: StoryGAN) -> None:
    assert check_story("Once upon a time.\nThe end.", 2, None).problem == ""
    assert grammar_of(model) is read_sentence


def test_text_of_file_with_any_line_breaks() -> None:
    text = "\n".join(STORY)
    for content in (text, text.replace("\n", "\r\n\r\n") + "\r\n"):
        assert text_of_file(content) == text
    assert text_of_file("") == ""


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"MZ\0\0", "Ein Bär.".encode("latin-1"), b"x" * 10_000])
def test_a_file_that_is_not_a_story(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"plain text|more than 3600 characters"):
        text_of_file(data.decode("utf-8", "replace"))  # as the browser decodes it


@given(st.text(max_size=2000))
def test_any_text_gets_a_report(text: str) -> None:
    report = check_story(text, 4, read_sentence)
    assert len(report.lines) <= MAX_CHECKED
    assert report.problem or 1 <= len(report.lines) <= 8


@pytest.mark.parametrize("value", [None, "3", 0, 9, 2.5, float("nan"), float("inf"), True, [1], 10**400])
def test_an_invalid_number(value: object) -> None:
    with pytest.raises(UsageError, match="Samples must be a whole number from 1 to 8"):
        whole_number("Samples", value, 1, 8)


def test_a_whole_float_is_a_number() -> None:
    assert whole_number("Samples", 3.0, 1, 8) == 3
