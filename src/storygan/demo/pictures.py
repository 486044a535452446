"""What the page shows, as HTML: the check of a story and the strips. Pictures are inside it: no file is served."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from storygan.data.images import encode_png
from storygan.demo.checking import Report
from storygan.demo.drawing import Drawing

EMPTY = '<p class="empty">Your pictures will appear here.</p>'


def check_html(report: Report) -> str:
    """A tick or the mistake for each sentence, and what is still to do."""
    rows = [
        f'<li class="{"wrong" if line.problem else "right"}">'
        + (_message(line.problem) if line.problem else escape(line.sentence))
        + "</li>"
        for line in report.lines
    ]
    todo = report.problem or "Ready to draw!"
    return f'<ol class="check" role="status">{"".join(rows)}</ol><p class="todo">{escape(todo)}</p>'


def problem_html(message: str) -> str:
    """Why nothing was drawn."""
    return f'<p class="problem" role="alert">{_message(message)}</p>'


def drawing_html(drawing: Drawing) -> str:
    """The samples so far, each a strip of frames with their sentences, and how far the drawing is."""
    n, samples = len(drawing.frames), len(drawing.noise.eps_0)
    bar = (
        "" if drawing.done else f'<p class="bar"><progress value="{n}" max="{samples}"></progress> {n} of {samples}</p>'
    )
    strips = "".join(
        strip_html(frames, drawing.sentences, f"Drawing {number}" if samples > 1 else "")
        for number, frames in enumerate(drawing.frames, 1)
    )
    return bar + strips


def strip_html(frames: np.ndarray, sentences: Sequence[str], heading: str) -> str:
    """T frames (T, H, W, 3) beside one another, each over its sentence."""
    figures = "".join(
        f'<figure><img src="{data_uri(frame)}" alt="{escape(sentence)}"><figcaption><b>{t}</b> {escape(sentence)}'
        "</figcaption></figure>"
        for t, (frame, sentence) in enumerate(zip(frames, sentences, strict=True), 1)
    )
    title = f"<h3>{escape(heading)}</h3>" if heading else ""
    return f'<section class="drawing">{title}<div class="strip" style="--T:{len(frames)}">{figures}</div></section>'


def data_uri(image: np.ndarray) -> str:
    """uint8 (H, W, 3) -> a PNG as the text of a link."""
    return "data:image/png;base64," + base64.b64encode(encode_png(Image.fromarray(image))).decode()


def _message(text: str) -> str:
    """The message with what it quotes set off."""
    return re.sub(r"(&#x27;|&quot;)(.*?)\1", r"<mark>\2</mark>", escape(text))
