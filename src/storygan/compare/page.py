"""The page of a comparison: one self-contained HTML file with images as data URIs, inline SVG, and no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from storygan.compare.result import Comparison
from storygan.evaluation.html import html_list, html_story, html_table, make_document
from storygan.training.loggers import read_metrics

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""A palette for colour vision deficiency (Okabe and Ito, 2008)."""
COLUMNS, WIDTH, HEIGHT, MARGIN, TOP = 3, 330, 190, 44, 30
"""Panels per row; size of a panel, its margin for labels, and height of the legend, in pixels."""
POINTS = 120
"""Points of a curve: means of neighbouring logged values."""
LOG_FROM = 10.0
"""Ratio of largest to smallest value, all above 0, from which on an axis is logarithmic."""
Curve = list[tuple[float, float]]
"""(iteration, value)."""


def read_curves(metrics: Path) -> dict[str, Curve]:
    """Read the curves of `metrics.jsonl` by metric, thinned to POINTS. Raises StoryganError where it cannot be read."""
    curves: dict[str, Curve] = {}
    for values in read_metrics(metrics):
        step = values.pop("step")
        values.pop("stage", None)
        for name, value in values.items():
            curves.setdefault(name, []).append((step, value))
    return {name: thin(curve) for name, curve in curves.items()}


def thin(curve: Curve) -> Curve:
    """Average neighbouring points, to at most POINTS points."""
    parts = np.array_split(np.array(curve, float), min(POINTS, len(curve)))
    return [(float(x), float(y)) for x, y in (part.mean(0) for part in parts)]


def draw_curves(runs: Mapping[str, Sequence[dict[str, Curve]]]) -> str:
    """Draw the curves of one or more runs of each configuration as one standalone SVG with a panel per metric."""
    coloured = [(COLOURS[n % len(COLOURS)], curves) for n, own in enumerate(runs.values()) for curves in own]
    names = list(dict.fromkeys(name for _, curves in coloured for name in curves))
    last = max((x for _, curves in coloured for curve in curves.values() for x, _ in curve), default=1.0)
    height = TOP + HEIGHT * math.ceil(len(names) / COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {height}" width="{COLUMNS * WIDTH}" '
        'font-family="sans-serif" font-size="11" fill="#333">'
    ]
    for n, run in enumerate(runs):
        x = MARGIN + 120 * n
        parts.append(f'<rect x="{x}" y="10" width="18" height="4" fill="{COLOURS[n % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 24}" y="16">{escape(run)}</text>')
    for n, name in enumerate(names):
        lines = [(colour, curves[name]) for colour, curves in coloured if name in curves]
        row, column = divmod(n, COLUMNS)
        panel = "".join(_panel(name, lines, last))
        parts.append(f'<g transform="translate({column * WIDTH} {TOP + row * HEIGHT})">{panel}</g>')
    return "\n".join([*parts, "</svg>"])


def _panel(name: str, lines: Sequence[tuple[str, Curve]], last: float) -> list[str]:
    """Draw one metric: a frame, the limits of both axes, and one line per run."""
    values = [y for _, curve in lines for _, y in curve]
    low, high = min(values), max(values)
    logarithmic = low > 0 and high >= LOG_FROM * low
    scale = math.log if logarithmic else float
    bottom, span = scale(low), (scale(high) - scale(low)) or 1.0
    width, height = WIDTH - MARGIN - 14, HEIGHT - 50
    title = escape(name) + (" (log)" if logarithmic else "")
    parts = [
        f'<text x="{MARGIN}" y="14" font-weight="bold">{title}</text>',
        f'<rect x="{MARGIN}" y="20" width="{width}" height="{height}" fill="none" stroke="#bbb"/>',
        f'<text x="{MARGIN - 4}" y="30" text-anchor="end">{high:.3g}</text>',
        f'<text x="{MARGIN - 4}" y="{20 + height}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{MARGIN}" y="{34 + height}">0</text>',
        f'<text x="{MARGIN + width}" y="{34 + height}" text-anchor="end">{last:.0f} iterations</text>',
    ]
    for colour, curve in lines:
        points = " ".join(
            f"{MARGIN + x / last * width:.1f},{20 + height - (scale(y) - bottom) / span * height:.1f}"
            for x, y in [*curve, curve[-1]]  # a curve of one point is a dot
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4" stroke-linecap="round"/>'
        )
    return parts


def make_page(
    comparison: Comparison,
    stories: Sequence[Sequence[str]],
    samples: dict[str, np.ndarray],
    curves: str,
    aspect_ratio: float = 1.0,
) -> str:
    """Return the page.

    Args:
        comparison: the result.
        stories: n stories of T sentences.
        samples: by name, uint8 frames (n or more, T, H, W, 3): of these stories first.
        curves: an SVG.
        aspect_ratio: display width over height of a frame.
    """
    body = ["<h2>Samples of the same stories</h2>"]
    for n, story in enumerate(stories):
        rows = {name: frames[n] for name, frames in samples.items()}
        body.append(html_story(f"Story {n + 1}", story, rows, aspect_ratio))
    for table in comparison.tables():
        body += [f"<h2>{escape(table.title)}</h2>", html_table(table.cells)]
    body += ["<h2>Training curves</h2>", f'<div class="wide">{curves}</div>']
    body += ["<h2>How it was measured</h2>", html_list(comparison.notes)]
    return make_document(comparison.title, body)
