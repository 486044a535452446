"""What the page shows, as HTML: the check of a story and the strips. Pictures are inside it: no file is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from storygan.data.images import data_uri
from storygan.demo.history import Sheet
from storygan.demo.story_input import Report
from storygan.editing import Drawing, Influence, effect, influence_rows
from storygan.editing.attribution import NO_STORY, OTHER_FILTERS, OTHER_MEMORY, OTHER_NOISE
from storygan.editing.figures import brightest, heat, where_changed
from storygan.viz import Row

EMPTY = '<p class="empty">Your pictures will appear here, one for each sentence.</p>'


def check_html(report: Report) -> str:
    """The sentences that are wrong, and how; then what is still to do."""
    rows = "".join(
        f'<li value="{number}">{_message(line.problem)}</li>'
        for number, line in enumerate(report.lines, 1)
        if line.problem
    )
    todo = (
        f'<p class="todo">{escape(report.problem)}</p>' if report.problem else '<p class="ready">✓ Ready to draw!</p>'
    )
    return f'<div role="status">{f"<ol>{rows}</ol>" if rows else ""}{todo}</div>'


def problem_html(message: str) -> str:
    """Why nothing was drawn."""
    return f'<p class="problem" role="alert">{_message(message)}</p>'


def bar_html(done: int, of: int) -> str:
    """How far a sheet is."""
    return f'<p class="bar" role="status"><progress value="{done}" max="{of}"></progress> {done} of {of} drawn</p>'


def sheet_html(sheet: Sheet) -> str:
    """The drawings so far, each a strip of frames with their sentences, and how far it is."""
    n = len(sheet.drawings)
    titles = sheet.titles or [f"Drawing {number}" if sheet.samples > 1 else "" for number in range(1, n + 1)]
    rows = [Row(title, drawing.frames[0], drawing.story) for title, drawing in zip(titles, sheet.drawings, strict=True)]
    return (bar_html(n, sheet.samples) if n < sheet.samples else "") + rows_html(rows)


def rows_html(rows: Iterable[Row]) -> str:
    """Strips under one another: frames side by side, each over its caption, with a number before it."""
    return "".join(
        strip_html(row.label, map(figure_html, range(1, len(row.frames) + 1), row.frames, row.captions)) for row in rows
    )


def strip_html(title: str, figures: Iterable[str]) -> str:
    """Figures side by side under a title, which may be empty."""
    figures = list(figures)
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    strip = f'<div class="strip" style="--T:{len(figures)}">{"".join(figures)}</div>'
    return f'<section class="drawing">{heading}{strip}</section>'


def figure_html(t: int, frame: np.ndarray, caption: str, below: str = "") -> str:
    """Frame `t` over its number, its caption, and what more is to stand there (HTML)."""
    caption = escape(caption)
    image = f'<img src="{data_uri(frame)}" alt="{caption}">'
    return f"<figure>{image}<figcaption><b>{t}</b> {caption}{below}</figcaption></figure>"


def _message(text: str) -> str:
    """The message with the first thing that it quotes set off: the word at fault."""
    return re.sub(r"(&#x27;|&quot;)(.*?)\1", r"<mark>\2</mark>", escape(text), count=1)


LITTLE, MUCH = 0.25, 1.0
"""Mean change of a picture, of 255: below the one hardly anyone sees it, from the other on everyone does."""


def compare(before: Drawing, after: Drawing, place: np.ndarray | None = None) -> tuple[str, list[Row]]:
    """Two single drawings of a story, one of which may be longer -> which pictures changed; before, after, and where.

    The last row glows where pixels changed. `place` (H, W), bool, is where a change was called for: then the words say
    how much more changed there than elsewhere.
    """
    n = min(len(before.story), len(after.story))
    old, new = before.frames[0], after.frames[0]
    change = effect(before.frames, after.frames, place)
    amounts = change.everywhere
    changed = [t for t in range(1, n + 1) if not np.array_equal(old[t - 1], new[t - 1])]
    same = [t for t in range(1, n + 1) if t not in changed]
    parts = []
    if len(new) > len(old):
        parts.append(f"{numbered([len(new)])} is new.")
    if same:
        parts.append(f"{numbered(same)} stayed exactly as {'they were' if len(same) > 1 else 'it was'}.")
    if changed and max(amounts) < LITTLE:
        parts.append(f"{numbered(changed)} changed, but so little that it is hard to see.")
    elif changed:
        parts.append(f"{numbered(changed)} changed.")
        inside, outside = (float(x[[t - 1 for t in changed]].mean()) for x in (change.inside, change.outside))
        if inside > outside > 0:
            parts.append(f"Where the old and the new thing stand, {inside / outside:.1f} times as much as elsewhere.")
    rows = [Row("Before", old, before.story), Row("After", new, after.story)]
    if changed:
        glow = where_changed(old[:n], new[:n])
        rows.append(Row("What changed: it glows there", glow, [in_words(amount) for amount in amounts]))
    return " ".join(parts), rows


def in_words(amount: float) -> str:
    """A mean change of pixels, of 255."""
    if amount == 0:
        return "nothing"
    word = "almost nothing" if amount < LITTLE else "a little" if amount < MUCH else "a lot"
    return f"{word} ({amount:.2f})"


def numbered(frames: Sequence[int]) -> str:
    """`Picture 1`, `Pictures 1 and 2`, `Pictures 1, 2 and 3`."""
    *most, last = map(str, frames)
    return f"Pictures {', '.join(most)} and {last}" if most else f"Picture {last}"


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
