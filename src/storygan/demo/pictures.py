"""What the page shows, as HTML: the check of a story and the strips. Pictures are inside it: no file is served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

import numpy as np

from storygan.data.images import data_uri
from storygan.demo.checking import Report
from storygan.demo.drawing import Sheet
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
