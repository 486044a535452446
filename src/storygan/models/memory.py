"""Memory that a process keeps between drawings."""

from __future__ import annotations

import ctypes
import os
import sys

SETTINGS = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
MOST = 1 << 30
MOST_BEFORE_GLIBC_2_35 = 1 << 25


def keep_memory() -> bool:
    """Have glibc keep freed memory for the next layer: to ask the kernel anew is up to a quarter of drawing.

    For this process and for good, so commands that draw and end do it, and no library function.

    Returns:
        Whether it was done: not where the environment has its own settings (`SETTINGS`), or the C library is another.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    larger = any(mallopt(M_MMAP_THRESHOLD, most) for most in (MOST, MOST_BEFORE_GLIBC_2_35))
    return bool(larger and mallopt(M_TRIM_THRESHOLD, MOST))
