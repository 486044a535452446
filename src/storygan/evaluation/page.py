"""The page of an evaluation: its tables, and the best and the worst stories of each system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.evaluation.baselines import METHODS
from storygan.evaluation.bootstrap import PerStory
from storygan.evaluation.html import SORT, html_list, html_story, html_table, make_document
from storygan.evaluation.sample_grid import RANKED_BY, rank_stories
from storygan.evaluation.tables import Table

SHOWN = 3
"""Best stories and worst stories of a system."""


def make_page(
    title: str,
    tables: Sequence[Table],
    notes: Sequence[str],
    dataset: StoryDataset,
    systems: Mapping[str, tuple[np.ndarray, Mapping[str, PerStory]]],
) -> str:
    """Return the page: one HTML file that loads nothing, whose tables of metrics are sorted by a click on a metric.

    Args:
        title: heading.
        tables: the headline table, then that of all metrics, which is transposed, so that a row is a method; others.
        notes: how the metrics were measured.
        dataset: the N stories with their real frames.
        systems: by name, frames (N, T, H, W, 3) uint8 and metrics of each story, which rank the stories.
    """
    headline, metrics, *others = tables
    header, *methods = zip(*metrics.cells, strict=True)
    body = [f"<h2>{escape(headline.title)}</h2>", html_table(headline.cells, sortable=True)]
    body += [f"<h2>{escape(metrics.title)}</h2>", html_table([["method", *header[1:]], *methods], sortable=True)]
    for table in others:
        body += [f"<h2>{escape(table.title)}</h2>", html_table(table.cells)]
    body += ["<h2>How it was measured</h2>", html_list(notes)]
    for name, (frames, values) in systems.items():
        title_of = METHODS.get(name, name)
        body.append(f"<h2>{escape(title_of)}: best and worst stories</h2>")
        for n, rank in extreme_stories(values).items():
            rows = {"real frames": np.asarray(dataset.frames[n]), title_of: frames[n]}
            heading = f"{rank}: {dataset.story_ids[n]} ({describe_values(values, n)})"
            body.append(html_story(heading, dataset.sentences[n], rows, dataset.aspect_ratio))
    return make_document(title, body, SORT)


def extreme_stories(values: Mapping[str, PerStory]) -> dict[int, str]:
    """Return the SHOWN best stories and then the SHOWN worst ones, or fewer without overlap: by index, the rank."""
    order = rank_stories(values).tolist()
    best, worst = order[:SHOWN], order[max(SHOWN, len(order) - SHOWN) :][::-1]
    return {n: "best" if k == 0 else f"best, {k + 1}" for k, n in enumerate(best)} | {
        n: "worst" if k == 0 else f"worst, {k + 1}" for k, n in enumerate(worst)
    }


def describe_values(values: Mapping[str, PerStory], n: int) -> str:
    """Return the values of story n that rank it: `object_accuracy 0.75, ...`."""
    found = ((name, values[name]) for name in RANKED_BY if name in values)
    return ", ".join(f"{name} {metric.total[n] / max(metric.weight[n], 1e-9):.3g}" for name, metric in found)


def check_page(page: Path, option: str = "--page") -> None:
    """Raise UsageError if the page cannot be written, before the evaluation begins."""
    if page.suffix.lower() != ".html":
        raise UsageError(f"{option} {page}: give a name that ends in .html")
    if not page.parent.is_dir() or page.is_dir():
        raise UsageError(f"cannot write {page}: it is a folder, or its folder does not exist")
