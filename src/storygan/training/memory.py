"""Out of memory, said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from storygan.types import StoryganError

SAID = ("allocate memory", "out of memory", "not enough memory", "bad_alloc", "failed to allocate")
"""How PyTorch's allocators, on whatever device, and its libraries call it in a RuntimeError."""


@contextmanager
def told_when_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn whatever the block raises for want of memory into one line that says what to lower.

    Raises:
        StoryganError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(words in said for words in SAID):
            raise StoryganError(f"out of memory: lower batch_size, it is {batch_size}; the checkpoints stay") from error
        raise
