"""A study with people: a page that shows two systems' frames of the same stories, and the answers that it saves.

The page is blind: the order of stories and of the two systems is random, and no name is shown. It is one file that
loads nothing.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from storygan.data.dataset import StoryDataset
from storygan.errors import StoryganError, UsageError, reason
from storygan.evaluation.bootstrap import Estimate, resample_counts
from storygan.evaluation.html import html_story, make_document
from storygan.evaluation.tables import text_table, verdict
from storygan.files import MAX_TEXT, parse_json, read_text

QUESTIONS = {"fits": "Which fits the text better?", "consistent": "Which is more consistent from frame to frame?"}
"""Name in the answers -> question."""
TITLE = "Which story is better illustrated?"
INTRODUCTION = (
    "Each story is shown twice, A above B. Answer both questions for each, even if it is close. "
    "Then save the answers and send the file."
)
MAX_TEXT_FIELD = 200
"""Characters of a name or story id in an answer."""
SAVE = """
document.querySelector("#save").addEventListener("click", () => {
  const names = JSON.parse(atob(document.querySelector("main").dataset.systems));
  const person = document.querySelector("#person").value.trim() || "anonymous", lines = [];
  let open = 0;
  for (const story of document.querySelectorAll("section")) for (const group of story.querySelectorAll("fieldset")) {
    const answer = group.querySelector("input:checked");
    if (!answer) { open += 1; continue; }
    const chosen = names[(answer.value === "A") === (story.dataset.first === "0") ? 0 : 1];
    lines.push(JSON.stringify({story_id: story.dataset.story, question: group.dataset.question, chosen,
      systems: names, person}) + "\\n");
  }
  document.querySelector("#open").textContent = open ? `${open} questions have no answer yet.` : "Saved.";
  if (open) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, {type: "application/jsonl"}));
  link.download = `answers-${person}.jsonl`;
  link.click();
});
"""
"""Saves a JSON line for each answer, once there are all."""


def make_study(dataset: StoryDataset, systems: Mapping[str, np.ndarray], seed: int) -> str:
    """Return the page of a study of two systems: one HTML file.

    Args:
        dataset: the N stories.
        systems: by name, frames (N, T, H, W, 3) uint8.
        seed: of the order of stories, and of the systems within each.

    Raises:
        UsageError: there are not two systems.
    """
    if len(systems) != 2:
        raise UsageError(
            f"a study compares two systems, not {len(systems)}: give --model and --frames, or two --frames"
        )
    rng, frames, sections = np.random.default_rng(seed), list(systems.values()), []
    for place, n in enumerate(rng.permutation(len(dataset)).tolist(), 1):
        first = int(rng.integers(2))
        rows = {"A": frames[first][n], "B": frames[1 - first][n]}
        shown = html_story(f"Story {place}", dataset.sentences[n], rows, dataset.aspect_ratio)
        groups = "".join(_group(place, name, question) for name, question in QUESTIONS.items())
        story_id = escape(dataset.story_ids[n], quote=True)
        sections.append(f'<section data-story="{story_id}" data-first="{first}">{shown}{groups}</section>')
    names = b64encode(json.dumps(list(systems)).encode()).decode()  # not to be read by chance
    ending = (
        '<p><label>Your name or number: <input id="person" maxlength="40"></label> '
        '<button id="save">Save the answers</button> <span id="open" role="status"></span></p>'
    )
    body = [f'<p>{INTRODUCTION}</p><main data-systems="{names}">', *sections, "</main>", ending]
    return make_document(TITLE, body, SAVE)


def _group(place: int, name: str, question: str) -> str:
    inputs = " ".join(
        f'<label><input type="radio" name="{name}-{place}" value="{side}"> {side}</label>' for side in "AB"
    )
    return f'<fieldset data-question="{name}"><legend>{question}</legend>{inputs}</fieldset>'


@dataclass(frozen=True)
class StudyReport:
    """What people preferred."""

    systems: list[str]
    people: int
    simulated: int
    """Of the people, those whose answers a program made up."""
    stories: int
    answers: int
    preferences: dict[str, Estimate]
    """By question: the share of answers for the first system."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {**vars(self), "preferences": {name: value.to_dict() for name, value in self.preferences.items()}}

    def __str__(self) -> str:
        first, second = self.systems
        cells = [["question", f"prefer {first} to {second}", f"is {first} better?"]]
        for name, value in self.preferences.items():
            against_half = Estimate(value.mean - 0.5, value.low - 0.5, value.high - 0.5, value.stories)
            cells.append([QUESTIONS[name], str(value), verdict(against_half)])
        note = (
            f"{self.answers} answers by {self.people} people on {self.stories} stories; in brackets: 95% interval over"
        )
        lines = [text_table(cells), "", f"{note} people and stories"]
        if self.simulated:
            lines.append(f"simulated, not people's: the answers of {self.simulated} of {self.people}")
        return "\n".join(lines)


def read_answers(paths: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Read answers, JSON lines. Raise StoryganError if a line is not one that the page saves."""
    answers = []
    for path in map(Path, paths):
        try:
            lines = read_text(path, MAX_TEXT).splitlines()
        except (OSError, ValueError) as error:
            raise StoryganError(f"cannot read the answers {path}: {reason(error)}") from error
        for number, line in enumerate(lines, 1):
            if line.strip():
                answers.append(_answer(line, f"{path}, line {number}"))
    return answers


def _answer(line: str, where: str) -> dict[str, Any]:
    try:
        answer = parse_json(line)
        texts = [answer["story_id"], answer["person"], *answer["systems"]]
        if any(not isinstance(text, str) or len(text) > MAX_TEXT_FIELD for text in texts):
            raise ValueError("a name or id is no short text")
        if len(set(answer["systems"])) != 2 or answer["chosen"] not in answer["systems"]:
            raise ValueError("chosen is neither of two systems")
        if answer["question"] not in QUESTIONS:
            raise ValueError(f"question is none of {', '.join(QUESTIONS)}")
    except (ValueError, KeyError, TypeError) as error:
        raise StoryganError(f"{where} is no answer of a study: {reason(error)}") from error
    return answer


def analyse(answers: Sequence[Mapping[str, Any]], seed: int) -> StudyReport:
    """Compute the preferences for the first system, with 95% bootstrap intervals over people and stories.

    People and stories are resampled independently, as both are samples (Owen, Annals of Applied Statistics, 2007).

    Raises:
        StoryganError: there are no answers, they compare different systems, or a person answered a question twice.
    """
    if not answers:
        raise StoryganError("there are no answers in these files")
    systems = list(answers[0]["systems"])
    people, stories = (sorted({answer[name] for answer in answers}) for name in ("person", "story_id"))
    shape = (len(people), len(stories))
    chosen = {question: np.full(shape, np.nan) for question in QUESTIONS}
    for answer in answers:
        if set(answer["systems"]) != set(systems):
            raise StoryganError(f"the answers compare {' and '.join(systems)}, and {' and '.join(answer['systems'])}")
        at = people.index(answer["person"]), stories.index(answer["story_id"])
        if not np.isnan(chosen[answer["question"]][at]):
            raise StoryganError(
                f"{answer['person']} answered twice on story {answer['story_id']}: give files of one study"
            )
        chosen[answer["question"]][at] = answer["chosen"] == systems[0]
    simulated = len({answer["person"] for answer in answers if answer.get("simulated")})
    preferences = {name: _preference(values, seed) for name, values in chosen.items() if not np.isnan(values).all()}
    return StudyReport(systems, len(people), simulated, len(stories), len(answers), preferences)


def _preference(chosen: np.ndarray, seed: int) -> Estimate:
    """Return the mean of values (people, stories), NaN where there is none, with its interval."""
    given = ~np.isnan(chosen)
    by_person, by_story = resample_counts(len(chosen), seed), resample_counts(chosen.shape[1], seed + 1)
    totals, weights = (((by_person @ x) * by_story).sum(1) for x in (np.nan_to_num(chosen), given.astype(float)))
    low, high = np.percentile(totals[weights > 0] / weights[weights > 0], [2.5, 97.5])
    return Estimate(float(chosen[given].mean()), float(low), float(high), int(given.any(0).sum()))
