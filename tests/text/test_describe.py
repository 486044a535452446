"""Descriptions of CLEVR-SV objects in words, which free text reads back."""

from __future__ import annotations

from math import hypot

import numpy as np
import pytest

from storygan.text.clevr import ClevrObject, format_sentence, parse_sentence
from storygan.text.describe import CELLS, describe, describe_story
from storygan.text.free_text import understand
from storygan.text.placement import BEHIND, RIGHT, cell, view_of


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (0.0, 0.0, "in the middle"),
        (2.9, 0.0, "at the front right"),
        (-1.2, -1.4, "at the left"),
        (-1.4, 1.2, "at the back"),
        (2.4, 2.7, "at the far right"),
        (2.7, 1.0, "at the far right and to the front"),
    ],
)
def test_places(x: float, y: float, place: str) -> None:
    assert describe(f"small red metal cube at ({x}, {y})") == f"a small red metal cube {place}"


@pytest.mark.parametrize("at", CELLS)
def test_free_text_reads_each_place_as_the_cell_that_it_names(at: tuple[int, int]) -> None:
    right, behind = cell(*at)
    x, y = (float(np.clip(right * RIGHT[k] + behind * BEHIND[k], -3, 3)) for k in (0, 1))
    thing = ClevrObject("sphere", "cyan", "rubber", "large", x, y)
    (read,) = map(parse_sentence, understand([describe(format_sentence(thing))]))
    assert (read.shape, read.colour, read.material, read.size) == ("sphere", "cyan", "rubber", "large")
    assert hypot(*(a - b for a, b in zip(view_of(read), view_of(thing), strict=True))) < 0.6


def test_other_stories_stay_as_they_are() -> None:
    assert describe_story(["Pororo sings.", "Loopy dances."]) == ["Pororo sings.", "Loopy dances."]
