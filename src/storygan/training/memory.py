"""Out of memory, said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from storygan.config import TrainConfig
from storygan.types import StoryganError, out_of_memory


@contextmanager
def told_when_out_of_memory(config: TrainConfig) -> Iterator[None]:
    """Turn whatever the block raises for want of memory into one line that says what to lower.

    Raises:
        StoryganError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if out_of_memory(error):
            largest = max(stage.batch_size for stage in config.stages.values())
            raise StoryganError(f"out of memory: lower batch_size, it is {largest}; the checkpoints stay") from error
        raise
