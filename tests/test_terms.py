"""Words and identifiers of version 0.1 occur only in the changelog and the experiment log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", "scripts", "configs", ".ci", ".github")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".json", ".svg", ".html", ".css", ".sh", ".toml", ".cff", ""}
EXCLUDED = {"CHANGELOG.md", "docs/experiments.md", "tests/test_terms.py"}
TERMS = """
    told untold tell tells telling told_in told_objects tell_story
    drawn draw_with drawn_with of_drawn drawing drawings redraw
    learnt by heart | averaged weights | taught | teacher | teachers | teaches | lesson | lessons | learnt
    coupled_noise strayed astray warm_up squared_error any_order object_weight fixed_norms circles saved_state
    other_story over_story from_first require_same
    judge judges judged judging recognizer recognizers recogniser recognisers seeing
    ladder HalvingConv JoinConv FoldedToColours fold folded at_points keep_memory pays
    trivial rows | variety | object_there | nothing_extra | label_kept
    safe_places wordings ClevrPlan ToonPlan
    seal sealed whole_file write_whole
    continue_story influence owing owed
    contender contenders
    lucky number | take the last one back | show the way there | mend | mended | mends
    why the cubes were round | the two judges | fewer products | two hours of it | hostile input | from another model
    stopping and going on | many processes
"""
"""From the left column of the table of terms, except ordinary English words: words, or phrases between bars."""
PATTERNS = {
    r"MOST_\w+",
    r"STARTS",
    r"change_with_\w+",
    r"clevr-[a-u]",
    r"toon-[a-i]",
    r"draws? (?:a|one|the) stor(?:y|ies)",
}
"""Matched with case."""
ALLOWED = {
    "benchmarks/worker.py": {"fold", "keep_memory"},  # it runs older commits
    "src/storygan/models/storygan.py": {"circles"},  # config.json of version 0.1
    "tests/models/test_storygan.py": {"circles"},
    "src/storygan/data/restricted_pickle.py": {"tell"},  # of a file
    "src/storygan/data/toon/templates.json": {"tell"},  # in a sentence
    "src/storygan/evaluation/distances.py": {"influence"},  # of the jackknife
}
CURVES = re.compile(r"docs/results/clevr-sv-curves-[123]\.svg")
"""In the experiment log, whose runs have letters."""


def terms() -> list[str]:
    """Return the words and phrases of TERMS."""
    found: list[str] = []
    for line in TERMS.strip().splitlines():
        found += [part.strip() for part in line.split("|")] if "|" in line else line.split()
    return found


def texts() -> Iterator[Path]:
    """Yield the text files that the test reads."""
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.is_file())
    yield from (
        path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in {".md", ".toml", ".cff", ".yml"}
    )
    yield ROOT / "Makefile"


WORDS = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, terms()))})(?![\w-])".replace(r"\ ", r"\s+"), re.IGNORECASE)
NAMES = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(PATTERNS))})(?![\w-])")


def old_terms(text: str) -> set[str]:
    """Return the old terms in a text."""
    text = re.sub(r"data:image/[^\"]*|[A-Za-z0-9+/]{200,}", "", text)
    return {" ".join(found.split()).lower() for pattern in (WORDS, NAMES) for found in pattern.findall(text)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The frames are drawn.", {"drawn"}),
        ("withdrawn, ImageDraw, a story", set()),
        ("the model has learnt\nby heart", {"learnt by heart"}),
        ("MOST_PIXELS = 3; most of it", {"most_pixels"}),
        ("warm_up.lr", {"warm_up"}),
    ],
)
def test_old_terms_are_found_as_whole_words(text: str, found: set[str]) -> None:
    assert old_terms(text) >= found
    assert bool(old_terms(text)) == bool(found)


def test_old_terms_are_only_in_the_changelog_and_the_experiment_log() -> None:
    found = {}
    for path in texts():
        name = path.relative_to(ROOT).as_posix()
        if name in EXCLUDED or path.suffix not in SUFFIXES or "__pycache__" in name or CURVES.fullmatch(name):
            continue
        if left := old_terms(path.read_text()) - ALLOWED.get(name, set()):
            found[name] = sorted(left)
    assert found == {}
