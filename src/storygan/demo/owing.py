"""What each picture owes to its sentence, to the sentences before, to the story and to luck, as a page for a child.

In the terms of the paper the same is folded up below it.
"""

from __future__ import annotations

import numpy as np

from storygan.demo.comparing import in_words
from storygan.demo.pictures import figure_html, rows_html, strip_html
from storygan.editing import Drawing, Influence, influence_rows
from storygan.editing.influences import NO_STORY, OTHER_FILTERS, OTHER_MEMORY, OTHER_NOISE
from storygan.editing.pictures import brightest, heat
from storygan.viz import Row

SHARES = ("its own sentence", "the sentences before", "the whole story (h<sub>0</sub>)", "luck (the noise)")
FRIENDLY = {
    NO_STORY: "Without a feeling for the whole story (h_0 = 0)",
    OTHER_NOISE: "With other luck (other noise)",
    OTHER_FILTERS: "While it listens to another sentence (other gist filters)",
    OTHER_MEMORY: "While it remembers another moment (other h_t)",
}
INTRODUCTION = (
    "<p><b>We leave one thing out, draw again, and look what is missing.</b> The more a picture changes, the more it "
    "owes to that thing.</p>"
)


def owing_html(drawing: Drawing, found: Influence, grid: np.ndarray | None) -> str:
    """The story with bars, a row for each thing that was left out, and all of it in symbols.

    Args:
        drawing: one.
        found: its `influence`.
        grid: its `gist_grid`.
    """
    frames, story = drawing.frames[0], drawing.story
    figures = [
        figure_html(t, frames[t - 1], story[t - 1], bars_html(share))
        for t, share in enumerate(shares(found, len(story)), 1)
    ]
    names = [f"Without sentence {k}: {sentence}" for k, sentence in enumerate(story, 1)]
    names += [FRIENDLY.get(source, "") for source in found.sources[len(story) :]]
    most = brightest(found.maps)
    glowing = [
        Row(name, heat(frames, maps / most), list(map(in_words, amounts)))
        for name, maps, amounts in zip(names, found.maps, found.amounts, strict=True)
        if name
    ]
    symbols = rows_html(influence_rows(found, drawing, grid))
    return (
        INTRODUCTION
        + strip_html("What each picture owes", figures)
        + legend_html()
        + "<h3>Where it glows, the picture came from there</h3>"
        + f'<div class="rows">{rows_html(glowing)}</div>'
        + "<details><summary>The same in symbols, for grown-ups who read papers</summary>"
        + f'<div class="rows">{symbols}</div></details>'
    )


def shares(found: Influence, n: int) -> np.ndarray:
    """(n, 4) in [0, 1], a row's sum 1: how a picture's changes divide into SHARES. All 0 where nothing changes it."""
    amounts = found.amounts
    sentences = amounts[:n]  # (n, n): sentence k, frame t
    owed = np.stack(
        [
            sentences.diagonal(),
            sentences.sum(0) - sentences.diagonal(),
            amounts[found.sources.index(NO_STORY)],
            amounts[found.sources.index(OTHER_NOISE)],
        ],
        axis=1,
    )
    total = owed.sum(1, keepdims=True)
    return np.divide(owed, total, out=np.zeros_like(owed), where=total > 0)


def bars_html(share: np.ndarray) -> str:
    """One bar for each of SHARES."""
    return (
        '<div class="owed">'
        + "".join(
            f'<i class="share-{k}" style="width:{100 * x:.0f}%"></i><span>{x:.0%}</span>' for k, x in enumerate(share)
        )
        + "</div>"
    )


def legend_html() -> str:
    """What the bars stand for."""
    return (
        '<p class="legend">'
        + "".join(f'<span><i class="share-{k}"></i> {name}</span>' for k, name in enumerate(SHARES))
        + "</p>"
    )
