"""The page of a study is blind, and its answers give what the people who made them up preferred."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from tests.demo.browser import CHROMIUM, chromium
from tests.evaluation.test_system_frames import write_folder

from storygan.cli import main
from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.study import QUESTIONS, analyse, make_study, read_answers

SYSTEMS = ["ours", "theirs"]


def simulated(people: int, stories: int, share: float, seed: int = 0, bias: float = 0.0) -> list[dict]:
    """Return answers that prefer `ours` with a probability of `share`, which differs by story with sigma `bias`."""
    rng = np.random.default_rng(seed)
    chances = (share + bias * rng.standard_normal(stories)).clip(0, 1)
    return [
        {
            "story_id": f"s{n}",
            "question": question,
            "chosen": SYSTEMS[int(rng.random() >= chances[n])],
            "systems": SYSTEMS,
            "person": f"simulated-{p}",
            "simulated": True,
        }
        for p in range(people)
        for n in range(stories)
        for question in QUESTIONS
    ]


def test_the_page_names_no_system_and_mixes_sides(stories: StoryDataset) -> None:
    frames = stories.batch(range(16))
    page = make_study(stories, {"ours": frames, "theirs": 255 - frames}, seed=0)
    assert "ours" not in re.sub(r'src="[^"]*"', "", page)
    assert "theirs" not in re.sub(r'src="[^"]*"', "", page)
    names = re.search(r'data-systems="([^"]*)"', page)
    assert names is not None
    assert json.loads(b64decode(names[1])) == SYSTEMS
    ids = re.findall(r'data-story="([^"]*)"', page)
    assert sorted(ids) == sorted(stories.story_ids)
    assert ids != stories.story_ids
    assert set(re.findall(r'data-first="(.)"', page)) == {"0", "1"}
    assert page == make_study(stories, {"ours": frames, "theirs": 255 - frames}, seed=0)
    assert page != make_study(stories, {"ours": frames, "theirs": 255 - frames}, seed=1)
    assert "://" not in page
    with pytest.raises(UsageError, match="two systems, not 1"):
        make_study(stories, {"ours": frames}, seed=0)


def test_preference_is_the_share_of_answers_for_the_first() -> None:
    answers = simulated(1, 2, 1.0)
    answers[0]["chosen"] = "theirs"
    report = analyse(answers, seed=0)
    assert (report.people, report.stories, report.answers, report.simulated) == (1, 2, 4, 1)
    assert report.preferences["fits"].mean == 0.5
    assert report.preferences["consistent"].mean == 1
    assert "simulated, not people's: the answers of 1 of 1" in str(report)


def test_a_clear_preference_is_shown_and_a_tie_is_not() -> None:
    assert str(analyse(simulated(6, 30, 0.75), seed=0)).count(": ") >= 1
    lines = str(analyse(simulated(6, 30, 0.75), seed=0)).splitlines()
    assert [line.endswith("  better") for line in lines[1:3]] == [True, True]
    lines = str(analyse(simulated(6, 30, 0.5), seed=0)).splitlines()
    assert [line.endswith("no difference shown") for line in lines[1:3]] == [True, True]


def test_intervals_cover_the_simulated_preference_although_stories_differ() -> None:
    """40 studies; an interval over answers alone would be too narrow, as all people see the same stories."""
    covered = 0
    for seed in range(40):
        value = analyse(simulated(8, 25, 0.6, seed, bias=0.3), seed).preferences["fits"]
        covered += value.low <= 0.59 <= value.high  # clipped to [0, 1], the mean of the chances is 0.59
    assert covered >= 33


def test_page_and_answers_by_command(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = open_split(sample, "test")
    write_folder(tmp_path / "theirs", dataset.story_ids, dataset.batch(range(16)))
    out, answers = tmp_path / "study.html", tmp_path / "answers.jsonl"
    command = ["study", "--data", str(sample), "--stories", "3", "--out", str(out)]
    assert main([*command, "--model", "previous-real-frame", "--frames", f"theirs={tmp_path}/theirs"]) == 0
    assert out.read_text().count("<section") == 3
    assert main([*command, "--model", "nearest-story", "--frames", f"theirs={tmp_path}/theirs"]) == 0
    answers.write_text("".join(json.dumps(answer) + "\n" for answer in simulated(2, 10, 0.9)))
    capsys.readouterr()
    assert main(["study", "--answers", str(answers), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["preferences"]["fits"]["mean"] > 0.7
    assert main(["study", "--out", str(out)]) == 2
    assert "--answers" in capsys.readouterr().err
    assert main([*command, "--model", "real-frames"]) == 2
    assert "two systems, not 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        json.dumps({**simulated(1, 1, 1.0)[0], "chosen": "other"}),
        json.dumps({**simulated(1, 1, 1.0)[0], "question": "which"}),
        json.dumps({**simulated(1, 1, 1.0)[0], "story_id": 3}),
        json.dumps({**simulated(1, 1, 1.0)[0], "systems": 3}),
    ],
)
def test_other_lines_are_errors(line: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(StoryganError, match=r"answers\.jsonl, line 2 is no answer"):
        read_answers([path])


def test_answers_that_do_not_fit_together_are_errors() -> None:
    answers = simulated(1, 2, 1.0)
    with pytest.raises(StoryganError, match="answered twice"):
        analyse([*answers, answers[0]], seed=0)
    with pytest.raises(StoryganError, match="compare ours and theirs, and ours and third"):
        analyse([*answers, {**answers[0], "systems": ["ours", "third"], "person": "b"}], seed=0)
    with pytest.raises(StoryganError, match="no answers"):
        analyse([], seed=0)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
def test_a_browser_saves_the_answers(stories: StoryDataset, tmp_path: Path) -> None:
    """Someone who always takes A, which is `ours` where data-first is 0."""
    path, subset = tmp_path / "study.html", stories.subset(range(6))
    frames = subset.batch(range(6))
    path.write_text(make_study(subset, {"ours": frames, "theirs": 255 - frames}, seed=0))
    with chromium() as browser:
        page = browser.new_page()
        page.goto(path.as_uri())
        page.click("#save")
        assert page.inner_text("#open") == "12 questions have no answer yet."
        for choice in page.locator("input[value=A]").all():
            choice.check()
        page.fill("#person", "p1")
        with page.expect_download() as download:
            page.click("#save")
        answers = read_answers([download.value.path()])
    first = dict(re.findall(r'data-story="([^"]*)" data-first="(.)"', path.read_text()))
    assert len(answers) == 12
    assert all(answer["chosen"] == SYSTEMS[int(first[answer["story_id"]])] for answer in answers)
    assert {answer["person"] for answer in answers} == {"p1"}
