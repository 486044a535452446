"""How many cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Fewer than the machine's where it is bound to some: in a container, in a cluster's job, under `taskset`.

    A share of their time (a container's CPU quota) binds to none, and is not seen.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
