"""HTML of the page's content. Pictures are data URIs, so no file is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from storygan.demo.history import Samples
from storygan.demo.story_input import Report
from storygan.editing import Attribution, StoryOutput, attribution_rows, pixel_change
from storygan.editing.attribution import OTHER_FILTERS, OTHER_MEMORY, OTHER_NOISE, ZERO_CONTEXT
from storygan.editing.figures import difference_heatmap, heatmap, heatmap_range
from storygan.viz import Row, data_uri, enlarge

EMPTY = '<p class="empty">The frames will appear here, one for each sentence.</p>'


def check_html(report: Report) -> str:
    """Return the invalid sentences with their errors, and what is left to do."""
    rows = "".join(
        f'<li value="{number}">{_message(line.problem)}</li>'
        for number, line in enumerate(report.lines, 1)
        if line.problem
    )
    todo = f'<p class="todo">{escape(report.problem)}</p>' if report.problem else '<p class="ready">✓ Ready</p>'
    return f'<div role="status">{f"<ol>{rows}</ol>" if rows else ""}{todo}</div>'


def problem_html(message: str) -> str:
    """Return an error message."""
    return f'<p class="problem" role="alert">{_message(message)}</p>'


def progress_html(done: int, total: int) -> str:
    """Return a progress bar."""
    bar = f'<progress value="{done}" max="{total}"></progress>'
    return f'<p class="bar" role="status">{bar} {done} of {total} generated</p>'


def samples_html(samples: Samples) -> str:
    """Return the samples generated so far, each a strip of frames with captions, and a progress bar."""
    n = len(samples.outputs)
    titles = samples.titles or [f"Sample {number}" if samples.total > 1 else "" for number in range(1, n + 1)]
    rows = [Row(title, each.frames[0], each.sentences) for title, each in zip(titles, samples.outputs, strict=True)]
    aspect_ratio = samples.outputs[0].aspect_ratio if n else 1.0
    return (progress_html(n, samples.total) if n < samples.total else "") + rows_html(rows, aspect_ratio)


def rows_html(rows: Iterable[Row], aspect_ratio: float) -> str:
    """Return strips of numbered frames with captions, below one another."""
    return "".join(
        strip_html(
            row.label,
            [
                figure_html(t, frame, caption, aspect_ratio)
                for t, (frame, caption) in enumerate(zip(row.frames, row.captions, strict=True), 1)
            ],
        )
        for row in rows
    )


def strip_html(title: str, figures: Sequence[str]) -> str:
    """Return figures side by side under a title, which may be empty."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    strip = f'<div class="strip" style="--T:{len(figures)}">{"".join(figures)}</div>'
    return f'<section class="sample">{heading}{strip}</section>'


def figure_html(t: int, frame: np.ndarray, caption: str, aspect_ratio: float, below: str = "") -> str:
    """Return frame `t` at display size, with its number and caption, and the HTML `below`."""
    caption = escape(caption)
    image = f'<img src="{data_uri(enlarge(frame, aspect_ratio=aspect_ratio))}" alt="{caption}">'
    return f"<figure>{image}<figcaption><b>{t}</b> {caption}{below}</figcaption></figure>"


def _message(text: str) -> str:
    """Escape a message and mark the first thing that it quotes."""
    return re.sub(r"(&#x27;|&quot;)(.*?)\1", r"<mark>\2</mark>", escape(text), count=1)


BARELY_VISIBLE, VISIBLE = 0.25, 1.0
"""Mean change of a frame in levels of 0 to 255."""


def comparison_html(before: StoryOutput, after: StoryOutput, mask: np.ndarray | None = None) -> str:
    """Return which frames an edit changed, in words and as strips."""
    words, rows = compare(before, after, mask)
    return f'<p class="summary" role="status">{words}</p>{rows_html(rows, before.aspect_ratio)}'


def compare(before: StoryOutput, after: StoryOutput, mask: np.ndarray | None = None) -> tuple[str, list[Row]]:
    """Compare two single samples of a story, one of which may be longer.

    Args:
        before, after: the samples.
        mask: bool (H, W), the region that the edit is about; then the text compares the change inside and outside.

    Returns:
        A text that names the changed frames, and the rows before, after and, if any changed, their difference.
    """
    n = min(len(before.sentences), len(after.sentences))
    old, new = before.frames[0], after.frames[0]
    change = pixel_change(before.frames, after.frames, mask)
    changed = [t for t in range(1, n + 1) if not np.array_equal(old[t - 1], new[t - 1])]
    same = [t for t in range(1, n + 1) if t not in changed]
    parts = []
    if len(new) > len(old):
        parts.append(f"{numbered([len(new)])} is new.")
    if same:
        parts.append(f"{numbered(same)} did not change.")
    if changed and max(change.overall) < BARELY_VISIBLE:
        parts.append(f"{numbered(changed)} changed, but barely visibly.")
    elif changed:
        parts.append(f"{numbered(changed)} changed.")
        inside, outside = (float(x[[t - 1 for t in changed]].mean()) for x in (change.inside, change.outside))
        if inside > outside > 0:
            ratio = f"{inside / outside:.1f} times"
            parts.append(f"The change is {ratio} as large where the old and the new object are as elsewhere.")
    rows = [Row("Before", old, before.sentences), Row("After", new, after.sentences)]
    if changed:
        rows.append(Row("Difference", difference_heatmap(old[:n], new[:n]), list(map(amount_text, change.overall))))
    return " ".join(parts), rows


def amount_text(amount: float) -> str:
    """Describe a mean pixel change in levels of 0 to 255."""
    if amount == 0:
        return "none"
    word = "barely visible" if amount < BARELY_VISIBLE else "small" if amount < VISIBLE else "large"
    return f"{word} ({amount:.2f})"


def numbered(frames: Sequence[int]) -> str:
    """Return `Frame 1`, `Frames 1 and 2` or `Frames 1, 2 and 3`."""
    *first, last = map(str, frames)
    return f"Frames {', '.join(first)} and {last}" if first else f"Frame {last}"


SHARES = ("its own sentence", "earlier sentences", "the story context (h<sub>0</sub>)", "the noise")
SOURCE_TITLES = {
    ZERO_CONTEXT: "Without the story context (h_0 = 0)",
    OTHER_NOISE: "With other noise",
    OTHER_FILTERS: "With the gist filters of other frames",
    OTHER_MEMORY: "With the memory h_t of other frames",
}
INTRODUCTION = (
    "<p>One input is replaced at a time, and the story is generated again. The more a frame changes, the more it "
    "depends on that input.</p>"
)


def attribution_html(output: StoryOutput, attribution: Attribution, grid: np.ndarray | None) -> str:
    """Return each frame's shares as bars, a heatmap strip for each replaced source, and all of it in symbols.

    Args:
        output: one sample.
        attribution: its `attribute`.
        grid: its `gist_grid`.
    """
    frames, sentences, aspect_ratio = output.frames[0], output.sentences, output.aspect_ratio
    figures = [
        figure_html(t, frames[t - 1], sentences[t - 1], aspect_ratio, bars_html(share))
        for t, share in enumerate(shares(attribution, len(sentences)), 1)
    ]
    titles = [f"Without sentence {k}: {sentence}" for k, sentence in enumerate(sentences, 1)]
    titles += [SOURCE_TITLES.get(source, "") for source in attribution.sources[len(sentences) :]]
    white = heatmap_range(attribution.maps)
    heatmaps = [
        Row(title, heatmap(frames, maps / white), list(map(amount_text, amounts)))
        for title, maps, amounts in zip(titles, attribution.maps, attribution.amounts, strict=True)
        if title
    ]
    symbols = rows_html(attribution_rows(attribution, output, grid), aspect_ratio)
    return (
        INTRODUCTION
        + strip_html("What each frame depends on", figures)
        + legend_html()
        + "<h3>Where a frame changes when an input is replaced</h3>"
        + f'<div class="rows">{rows_html(heatmaps, aspect_ratio)}</div>'
        + "<details><summary>The same in the paper's symbols</summary>"
        + f'<div class="rows">{symbols}</div></details>'
    )


def shares(attribution: Attribution, n: int) -> np.ndarray:
    """Compute how a frame's changes divide into SHARES: (n, 4) in [0, 1] with rows that sum to 1, or 0 if none."""
    amounts = attribution.amounts
    sentences = amounts[:n]  # (n, n): sentence k, frame t
    parts = np.stack(
        [
            sentences.diagonal(),
            sentences.sum(0) - sentences.diagonal(),
            amounts[attribution.sources.index(ZERO_CONTEXT)],
            amounts[attribution.sources.index(OTHER_NOISE)],
        ],
        axis=1,
    )
    total = parts.sum(1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


def bars_html(share: np.ndarray) -> str:
    """Return a bar for each of SHARES."""
    bars = "".join(
        f'<i class="share-{k}" style="width:{100 * x:.0f}%"></i><span>{x:.0%}</span>' for k, x in enumerate(share)
    )
    return f'<div class="shares">{bars}</div>'


def legend_html() -> str:
    """Return the legend of the bars."""
    names = "".join(f'<span><i class="share-{k}"></i> {name}</span>' for k, name in enumerate(SHARES))
    return f'<p class="legend">{names}</p>'
