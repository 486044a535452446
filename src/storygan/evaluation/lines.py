"""The metrics of one row of a table, story by story, and the distances of all rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.evaluation import metrics, pixels
from storygan.evaluation.bootstrap import Estimate, PerStory, join
from storygan.evaluation.distances import fid, kid
from storygan.evaluation.features import extract, installed
from storygan.evaluation.metrics import Seen
from storygan.evaluation.rows import Pool

BATCH = 16
"""Stories at a time."""
DISTANCE_STORIES = 250
"""At most so many stories on each side of KID and FID: their networks are slow, their matrices large."""
FEWEST = 10
"""Stories that each side of KID and FID needs."""


def object_metrics(seen: Seen) -> dict[str, PerStory]:
    """What the recognizer saw at the places of CLEVR-SV objects."""
    return {
        "object_accuracy": metrics.object_accuracy(seen),
        "story_consistency": metrics.story_consistency(seen),
        "nothing_extra": metrics.nothing_extra(seen),
        "object_there": metrics.object_there(seen),
        **metrics.attribute_accuracy(seen),
    }


def label_metrics(found: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, PerStory]:
    """Labels found in the frames and the right ones, (N, T, K) bool, and their K names.

    Names such as `place: farm` put labels into groups; each group is measured on its own too, as in
    `label_exact_match_place`.
    """
    groups: dict[str, list[int]] = {"": list(range(len(names)))}
    for k, name in enumerate(names):
        group, colon, _ = name.partition(":")
        if colon:
            groups.setdefault("_" + group.strip().replace(" ", "_"), []).append(k)
    return {
        f"{metric.__name__}{group}": metric(found[..., ks], labels[..., ks])
        for group, ks in groups.items()
        for metric in (metrics.label_exact_match, metrics.label_micro_f1, metrics.label_kept)
    }


def pixel_metrics(pool: Pool, row: str) -> dict[str, PerStory]:
    """The row's frames against the real ones."""
    parts = [slice(start, start + BATCH) for start in range(0, len(pool.rows[row]), BATCH)]
    found = [pixels.pixel_metrics(pool.show(row, part), pool.show("real_frames", part)) for part in parts]
    return {name: join([values[name] for values in found]) for name in found[0]}


def distance_stories(N: int) -> int:
    """Stories on each side of KID and FID, of N; 0: too few for them."""
    side = min(N // 2, DISTANCE_STORIES)
    return side if side >= FEWEST else 0


def distances(pool: Pool, recognized: np.ndarray | None, seed: int) -> dict[str, dict[str, Estimate]]:
    """KID and FID of every row: by row, by name, which says whose features they are on.

    The real frames of the first half of the stories are what the second half of each row is compared with, so that real
    frames have a distance too: what chance alone makes of so few stories. `recognized` are the recognizer's features of
    the pool, (M, F).
    """
    N = len(pool.rows["real_frames"])
    side = distance_stories(N)
    rows: dict[str, dict[str, Estimate]] = {row: {} for row in pool.rows}
    if not side:
        return rows
    reference = pool.rows["real_frames"][:side]
    shown = {row: index[N // 2 : N // 2 + side] for row, index in pool.rows.items()}
    needed, where = np.unique(np.stack([reference, *shown.values()]), return_inverse=True)
    where = where.reshape(-1, *reference.shape)
    features = {} if recognized is None else {"recognizer": recognized[needed]}
    features |= {name: extract(make(), pool.frames[needed], name) for name, make in installed().items()}
    for name, known in features.items():
        for row, index in zip(shown, where[1:], strict=True):
            rows[row][f"kid_{name}"] = kid(known[index], known[where[0]], seed)
            rows[row][f"fid_{name}"] = fid(known[index], known[where[0]], seed)
    return rows
