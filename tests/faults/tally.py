"""How often each kind of fault was caused, and how often what must hold held: printed when the tests end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

TRIED: Counter[str] = Counter()
HELD: Counter[str] = Counter()


@contextmanager
def fault(kind: str) -> Iterator[None]:
    """One try; it held if the block ends without an error. `kind` is its row in docs/faults.md."""
    TRIED[kind] += 1
    yield
    HELD[kind] += 1
