"""Whether one contender is better than another: differences on the same stories and noise, by a paired bootstrap."""

from __future__ import annotations

from collections.abc import Mapping

from storygan.evaluation.bootstrap import Estimate, PerStory, paired_difference
from storygan.evaluation.measure import Line


def differences(read: Mapping[str, Mapping[str, PerStory]], seed: int) -> dict[str, Line]:
    """The first contender's metrics minus each other's.

    Args:
        read: by contender, by metric, of the same N stories; all are better when larger.
        seed: of the bootstrap.

    Returns:
        By other contender, by metric: the difference with its 95% interval.
    """
    first, *others = read
    return {
        other: {name: paired_difference(value, read[other][name], seed) for name, value in read[first].items()}
        for other in others
    }


def verdict(difference: Estimate) -> str:
    """What a difference's interval allows to say."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"
