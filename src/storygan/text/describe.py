"""Plain English for canonical CLEVR-SV sentences: 'a large red rubber cube at the front left'."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist

from storygan.errors import UsageError
from storygan.text.clevr import parse_sentence
from storygan.text.placement import cell, view_of

COLUMNS = {-2: "far left", -1: "left", 0: "", 1: "right", 2: "far right"}
ROWS = {-2: "far front", -1: "front", 0: "", 1: "back", 2: "far back"}
CELLS = [(column, row) for column in COLUMNS for row in ROWS if abs(column) + abs(row) < 4]
"""Cells of the floor. The far corners are left out: they are as good as (1, 1), as the floor is a diamond."""


def describe(sentence: str) -> str:
    """Describe an object and the cell of the 5x5 floor grid that it is in, without coordinates.

    `storygan.text.free_text` reads the description as the same attributes in that cell.

    Args:
        sentence: in the grammar of `storygan.text.clevr`.

    Raises:
        UsageError: it is not in the grammar.
    """
    thing = parse_sentence(sentence)
    column, row = min(CELLS, key=lambda at: dist(view_of(thing), cell(*at)))
    return f"a {thing.size} {thing.colour} {thing.material} {thing.shape} {_place(ROWS[row], COLUMNS[column])}"


def _place(row: str, column: str) -> str:
    """Name a cell: 'in the middle', 'at the left', 'at the back left', 'at the far left and to the back'."""
    if not row and not column:
        return "in the middle"
    far = next((side for side in (row, column) if side.startswith("far")), "")
    if not (row and column and far):
        return f"at the {row} {column}".replace("  ", " ").strip()
    return f"at the {far} and to the {column if far == row else row}"


def describe_story(sentences: Sequence[str]) -> list[str]:
    """Describe the sentences of a CLEVR-SV story; those of another story are returned as they are."""
    try:
        return [describe(sentence) for sentence in sentences]
    except UsageError:
        return list(sentences)
