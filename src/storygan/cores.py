"""The number of CPU cores."""

from __future__ import annotations

import os


def cores() -> int:
    """Return the number of cores that this process may use.

    It is smaller than the machine's where an affinity is set: in a container, a cluster job, or under `taskset`. A CPU
    quota sets no affinity and is not seen.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
