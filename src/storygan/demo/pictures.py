"""What the page shows, as HTML: the check of a story and the strips. Pictures are inside it: no file is served."""

from __future__ import annotations

import base64
import re
from html import escape

import numpy as np
from PIL import Image

from storygan.data.images import encode_png
from storygan.demo.checking import Report
from storygan.demo.drawing import Sheet
from storygan.editing import Drawing
from storygan.viz import Row

EMPTY = '<p class="empty">Your pictures will appear here.</p>'


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


def sheet_html(sheet: Sheet) -> str:
    """The drawings so far, each a strip of frames with their sentences, and how far it is."""
    n = len(sheet.drawings)
    bar = f'<p class="bar"><progress value="{n}" max="{sheet.samples}"></progress> {n} of {sheet.samples}</p>'
    strips = (
        strip_html(drawing_row(drawing, f"Drawing {number}" if sheet.samples > 1 else ""))
        for number, drawing in enumerate(sheet.drawings, 1)
    )
    return (bar if n < sheet.samples else "") + "".join(strips)


def strip_html(row: Row) -> str:
    """Frames beside one another, each over its caption; a number before a sentence."""
    figures = "".join(
        f'<figure><img src="{data_uri(frame)}" alt="{escape(caption)}"><figcaption>'
        f"<b>{t}</b> {escape(caption)}</figcaption></figure>"
        for t, (frame, caption) in enumerate(zip(row.frames, row.captions, strict=True), 1)
    )
    title = f"<h3>{escape(row.label)}</h3>" if row.label else ""
    return f'<section class="drawing">{title}<div class="strip" style="--T:{len(row.frames)}">{figures}</div></section>'


def drawing_row(drawing: Drawing, label: str) -> Row:
    """The row of a single drawing, over its sentences."""
    return Row(label, drawing.frames[0], drawing.story)


def data_uri(image: np.ndarray) -> str:
    """uint8 (H, W, 3) -> a PNG as the text of a link."""
    return "data:image/png;base64," + base64.b64encode(encode_png(Image.fromarray(image))).decode()


def _message(text: str) -> str:
    """The message with the first thing that it quotes set off: the word at fault."""
    return re.sub(r"(&#x27;|&quot;)(.*?)\1", r"<mark>\2</mark>", escape(text), count=1)
