"""The benchmarks still fit the package: each is run once, as small as it can be. Its figures are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("row", ["part_update_D_I", "part_generate_update_G"])
def test_speed_of_a_row(row: str) -> None:
    command = [sys.executable, ROOT / "benchmarks/speed.py", "--only", row, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    (measured,) = json.loads(done.stdout.splitlines()[-1]).items()
    assert measured[0] == row
    assert measured[1]["gflop"] == pytest.approx(108.9 if row == "part_update_D_I" else 106.9, abs=0.1)
    assert measured[1]["median_s"] > measured[1]["floor_s"] > 0
