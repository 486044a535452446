"""A picture of an evaluation: good and bad stories alike, chosen by rank and not by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from storygan.evaluation.bootstrap import PerStory
from storygan.viz import Row

RANKS = {"the best": 0.0, "better than three quarters": 0.25, "the middle": 0.5, "worse than three quarters": 0.75}
RANKS |= {"the worst": 1.0}
JUDGED_BY = ("object_accuracy", "story_consistency", "label_exact_match", "psnr_01")


def ranked(metrics: Mapping[str, PerStory]) -> np.ndarray:
    """Stories from best to worst, (N,) int64: by the metrics of JUDGED_BY that were measured, the first one first;
    equal ones in the order they have in the data."""
    scores = [metrics[name] for name in JUDGED_BY if name in metrics]
    keys = [-score.total / np.maximum(score.weight, 1e-9) for score in scores]
    return np.lexsort(keys[::-1])


def ranked_rows(
    metrics: Mapping[str, PerStory], real: np.ndarray, drawn: np.ndarray, told: Sequence[Sequence[str]]
) -> list[Row]:
    """The story at each of RANKS, twice: its real frames, and below them the drawn ones with their sentences.

    Args:
        metrics: of the drawn frames, by name, over N stories.
        real, drawn: (N, T, H, W, 3) uint8.
        told: the sentences of each.
    """
    order = ranked(metrics)
    rows = []
    for name, rank in RANKS.items():
        n = int(order[round(rank * (len(order) - 1))])
        rows += [Row(f"{name}: real frames", real[n]), Row(f"{name}: drawn", drawn[n], told[n])]
    return rows
