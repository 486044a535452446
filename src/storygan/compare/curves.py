"""Training curves as one SVG, a panel a metric, a line a variant. By hand: a plotting library for this is heavy."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import numpy as np

from storygan.training.metrics_file import read_metrics

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Distinct for the colour-blind too (Okabe and Ito, 2008)."""
COLUMNS, WIDTH, HEIGHT, MARGIN, TOP = 3, 330, 190, 44, 30
"""Panels in a row; their size with the margin for labels, and the legend's height, in pixels."""
POINTS = 120
"""A line's points: each is the mean of as many logged values as it takes."""
LOG_FROM = 10.0
"""The axis is logarithmic where all values are above 0 and the largest is so many times the smallest."""
Curve = list[tuple[float, float]]
"""(iteration, value)."""


def read_curves(metrics: Path) -> dict[str, Curve]:
    """`metrics.jsonl` of a run -> by metric, its points, thinned to POINTS. StoryganError where it cannot be read."""
    curves: dict[str, Curve] = {}
    for values in read_metrics(metrics):
        step = values.pop("step")
        values.pop("stage", None)
        for name, value in values.items():
            curves.setdefault(name, []).append((step, value))
    return {name: thin(curve) for name, curve in curves.items()}


def thin(curve: Curve) -> Curve:
    """At most POINTS points: means of neighbours."""
    parts = np.array_split(np.array(curve, float), min(POINTS, len(curve)))
    return [(float(x), float(y)) for x, y in (part.mean(0) for part in parts)]


def draw_curves(runs: dict[str, dict[str, Curve]]) -> str:
    """By variant, by metric, its curve -> an SVG that stands alone."""
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    last = max((x for curves in runs.values() for curve in curves.values() for x, _ in curve), default=1.0)
    height = TOP + HEIGHT * math.ceil(len(names) / COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * WIDTH} {height}" width="{COLUMNS * WIDTH}" '
        'font-family="sans-serif" font-size="11" fill="#333">'
    ]
    colours = {variant: COLOURS[n % len(COLOURS)] for n, variant in enumerate(runs)}
    for n, (variant, colour) in enumerate(colours.items()):
        x = MARGIN + 120 * n
        parts.append(f'<rect x="{x}" y="10" width="18" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 24}" y="16">{escape(variant)}</text>')
    for n, name in enumerate(names):
        lines = {colours[variant]: curves[name] for variant, curves in runs.items() if name in curves}
        row, column = divmod(n, COLUMNS)
        panel = "".join(_panel(name, lines, last))
        parts.append(f'<g transform="translate({column * WIDTH} {TOP + row * HEIGHT})">{panel}</g>')
    return "\n".join([*parts, "</svg>"])


def _panel(name: str, lines: dict[str, Curve], last: float) -> list[str]:
    """One metric: frame, the ends of both axes, a line a colour."""
    values = [y for curve in lines.values() for _, y in curve]
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
    for colour, curve in lines.items():
        points = " ".join(
            f"{MARGIN + x / last * width:.1f},{20 + height - (scale(y) - bottom) / span * height:.1f}"
            for x, y in [*curve, curve[-1]]  # a curve of one point is a dot
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4" stroke-linecap="round"/>'
        )
    return parts
