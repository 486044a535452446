"""The number of cores respects the CPU affinity."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from storygan.cores import cores


def test_a_process_bound_to_one_core_has_one() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system binds no process to cores")
    program = (
        "import os; from storygan.cores import cores\n"
        "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); print(cores())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == (os.cpu_count() or 1)
