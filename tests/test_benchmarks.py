"""The benchmarks still fit the package: each is run once, as small as it can be. Its figures are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_speed_of_a_row() -> None:
    command = [sys.executable, ROOT / "benchmarks/speed.py", "--only", "part_update_D_I", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert list(rows) == ["part_update_D_I"]
    assert rows["part_update_D_I"]["gflop"] == pytest.approx(108.9, abs=0.1)
    assert rows["part_update_D_I"]["median_s"] > 0
