"""Whether one contender is better than another: differences on the same stories and noise, by a paired bootstrap."""

from __future__ import annotations

import numpy as np

from storygan.evaluation.bootstrap import Estimate, paired_difference
from storygan.evaluation.lessons import Lessons
from storygan.evaluation.lines import label_metrics, object_metrics
from storygan.evaluation.report import Line
from storygan.evaluation.rows import Pool
from storygan.evaluation.seeing import look
from storygan.models.recognizer import Recognizer


def differences(drawn: dict[str, np.ndarray], known: Lessons, judge: Recognizer, seed: int) -> dict[str, Line]:
    """The first contender's object and label metrics minus each other's.

    Args:
        drawn: by contender, uint8 frames (N, T, H, W, 3) of the same N stories.
        known: of those stories, and what is true of them.
        judge: a recognizer of their places, their labels, or both.
        seed: of the bootstrap.

    Returns:
        By other contender, by metric (all are better when larger): the difference with its 95% interval.
    """
    first, *others = drawn
    N, T = drawn[first].shape[:2]
    index = np.arange(N * T).reshape(N, T)
    frames = np.concatenate([frames.reshape(-1, *frames.shape[2:]) for frames in drawn.values()])
    pool = Pool(frames, {name: n * N * T + index for n, name in enumerate(drawn)})
    places, labels = known.read_by(judge)
    looked = look(judge, pool, known.sentences if places else None)
    values = {name: object_metrics(looked.seen[name]) if places else {} for name in drawn}
    if labels:
        for name, rows in pool.rows.items():
            values[name] |= label_metrics(looked.labels[rows], known.labels.astype(bool), known.label_names)
    return {
        other: {name: paired_difference(value, values[other][name], seed) for name, value in values[first].items()}
        for other in others
    }


def verdict(difference: Estimate) -> str:
    """What a difference's interval allows to say."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"
