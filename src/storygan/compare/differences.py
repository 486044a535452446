"""Whether one variant is better than another: differences story by story, on the same stories and noise.

The bootstrap of paired differences: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.evaluation.bootstrap import Estimate, PerStory, estimate
from storygan.evaluation.lines import object_metrics
from storygan.evaluation.report import Line
from storygan.evaluation.rows import Pool
from storygan.evaluation.seeing import look
from storygan.models.recognizer import Recognizer


def differences(
    drawn: dict[str, np.ndarray], stories: Sequence[Sequence[str]], recognizer: Recognizer, seed: int
) -> dict[str, Line]:
    """The first variant's object metrics minus each other's, by a paired bootstrap over stories.

    Args:
        drawn: by variant, uint8 frames (N, T, H, W, 3) of the same N stories.
        stories: N stories of T CLEVR-SV sentences.
        recognizer: one that knows places.
        seed: of the bootstrap.

    Returns:
        By other variant, by metric (all are better when larger): the difference with its 95% interval.
    """
    first, *others = drawn
    N, T = drawn[first].shape[:2]
    index = np.arange(N * T).reshape(N, T)
    frames = np.concatenate([frames.reshape(-1, *frames.shape[2:]) for frames in drawn.values()])
    pool = Pool(frames, {variant: n * N * T + index for n, variant in enumerate(drawn)})
    seen = look(recognizer, pool, stories).seen
    values = {variant: object_metrics(seen[variant]) for variant in drawn}
    return {
        other: {name: estimate(_minus(value, values[other][name]), seed) for name, value in values[first].items()}
        for other in others
    }


def _minus(one: PerStory, other: PerStory) -> PerStory:
    """These metrics weigh every story alike, whoever drew it."""
    return PerStory(one.total - other.total, one.weight)


def verdict(difference: Estimate) -> str:
    """What a difference's interval allows to say."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"
