"""Tables of metrics and of paired differences, as text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from storygan.evaluation.bootstrap import Estimate, Metrics, Runs, paired_difference

HEADLINE_DISTANCE = "kid_alexnet_mean3"
"""Chosen by planted faults: docs/results/distances.md."""
OBJECT_METRICS = ("object_accuracy", "story_consistency", "no_false_positives")
LABEL_METRICS = ("label_exact_match", "label_micro_f1", "label_consistency")
HEADLINE = ("r_precision", "ssim_01_gauss11", "psnr_01", "st_lpips_alex", HEADLINE_DISTANCE)
"""With three metrics of objects, or else of labels, the eight columns of the headline table."""
SHORT_NAMES = {
    "ssim_01_gauss11": ("ssim", "frames in [0, 1], data range 1, 11x11 Gaussian window, mirrored border"),
    "psnr_01": ("psnr", "in dB, frames in [0, 1], at most 60"),
    "st_lpips_alex": ("st_lpips", "ST-LPIPS on AlexNet"),
    HEADLINE_DISTANCE: ("kid", "on AlexNet (ST-LPIPS) after a 3x3 mean"),
    "diversity_rms_01": ("diversity", "RMS difference of samples of one story, frames in [0, 1]"),
    "sensitivity_h_0_rms_01": ("sensitivity_h_0", "the same, with another story's `h_0`"),
}
"""Full name -> short name, convention."""
LOWER_IS_BETTER = ("kid", "fid", "st_lpips", "story_fid")
"""Beginnings of the names of metrics of which 0 is best."""


class Table(NamedTuple):
    """A titled table; the first row is the header."""

    title: str
    cells: list[list[str]]


def differences(per_story: Mapping[str, Mapping[str, Runs]], seed: int) -> dict[str, Metrics]:
    """Return the metrics of the first system minus those of each other one.

    Args:
        per_story: by system and metric, values of the same N stories, of one run or of several.
        seed: of the bootstrap.

    Returns:
        By other system and metric: the difference with its 95% interval.
    """
    first, *others = per_story
    return {
        other: {
            name: paired_difference(value, per_story[other][name], seed) for name, value in per_story[first].items()
        }
        for other in others
    }


def verdict(difference: Estimate, metric: str = "") -> str:
    """Return whether a difference's interval excludes 0, and on which side: larger is better except LOWER_IS_BETTER."""
    sign = -1 if metric.startswith(LOWER_IS_BETTER) else 1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def metrics_table(title: str, methods: Mapping[str, Metrics], names: Mapping[str, str]) -> Table:
    """Return a table with a row a metric and a column a method; `names` has titles of methods."""
    return _table(title, methods, names, lambda _, value: str(value))


def headline_table(title: str, methods: Mapping[str, Metrics], names: Mapping[str, str]) -> Table:
    """Return a table with a row a method, and a column for each of up to eight metrics that were measured."""
    measured = {metric for found in methods.values() for metric, value in found.items() if value}
    first = OBJECT_METRICS if measured & {*OBJECT_METRICS} else LABEL_METRICS
    metrics = [metric for metric in (*first, *HEADLINE) if metric in measured]
    cells = [["method", *(SHORT_NAMES.get(metric, (metric,))[0] for metric in metrics)]]
    for method, found in methods.items():
        values = [found.get(metric) for metric in metrics]
        cells.append([names.get(method, method), *("-" if value is None else f"{value.mean:.3f}" for value in values)])
    return Table(title, cells)


def conventions(metrics: Iterable[str]) -> str:
    """Return what the short names of those metrics stand for."""
    short = ((*SHORT_NAMES[name], name) for name in metrics if name in SHORT_NAMES)
    return "; ".join(f"{name} is {full}, {convention}" for name, convention, full in short)


def differences_table(title: str, first: str, others: Mapping[str, Metrics]) -> Table:
    """Return a table of `differences`, with the verdict on the first system."""
    names = {other: f"{first} - {other}" for other in others}
    return _table(title, others, names, lambda metric, value: f"{_signed(value)}: {verdict(value, metric)}")


def _signed(value: Estimate) -> str:
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"


def _table(
    title: str, methods: Mapping[str, Metrics], names: Mapping[str, str], cell: Callable[[str, Estimate], str]
) -> Table:
    metrics = dict.fromkeys(metric for found in methods.values() for metric in found)
    cells = [["", *(names.get(method, method) for method in methods)]]
    for metric in metrics:
        values = [found.get(metric) for found in methods.values()]
        cells.append([metric, *("-" if value is None else cell(metric, value) for value in values)])
    return Table(title, cells)


def text_table(cells: Sequence[Sequence[str]]) -> str:
    """Format cells in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(row.rstrip() for row in rows)


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """Format cells without `|` as a Markdown table, the first row as its header."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines)


def to_plain(methods: Mapping[str, Metrics]) -> dict[str, Any]:
    """Return metrics for JSON: each value as `mean`, `low`, `high` (95% interval) and `stories`."""
    return {
        method: {name: value.to_dict() for name, value in found.items() if value} for method, found in methods.items()
    }
