"""Many drawings are drawn some at a time, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

FRAMES = 256
"""Frames that are drawn at once: the same batches give the same pixels."""
Item = TypeVar("Item")


def batches(N: int, T: int) -> list[slice]:
    """The rows 0 .. N - 1 of stories of T frames, `FRAMES` at a time, or a story."""
    batch = max(1, FRAMES // T)
    return [slice(n, n + batch) for n in range(0, N, batch)]


def with_bar(items: Sequence[Item], unit: str, least: int = 2) -> Iterator[Item]:
    """The items, with a bar on stderr where there are at least so many, and where somebody sees it."""
    if len(items) < least:
        return iter(items)
    from tqdm import tqdm  # late: most drawings need none

    shown: Iterable[Item] = tqdm(items, desc="draw", unit=unit, disable=None)
    return iter(shown)
