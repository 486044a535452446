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
    assert rows["part_update_D_I"]["gflop"] == pytest.approx(67.8, abs=0.1)
    assert rows["part_update_D_I"]["median_s"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_soak_of_a_moment() -> None:
    """It exits with 1 where a run that was killed differs from the undisturbed one."""
    command = [sys.executable, ROOT / "benchmarks/soak.py", "--minutes", "0.4", "--every", "4", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1400)
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["kills"] >= 1
    assert row["resumes"] >= 1
    assert row["runs that ended"] >= 1
    assert row["runs that differ"] == 0
    assert 100 < row["undisturbed, peak early, MB"] <= row["undisturbed, peak late, MB"] < 3000


@pytest.mark.slow
def test_every_convolution_once() -> None:
    command = [sys.executable, ROOT / "benchmarks/convolutions.py", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    rows = done.stdout.splitlines()[2:]
    taken = [row.split("|")[1].split(",")[0].strip() for row in rows if "(" not in row]
    assert taken == ["ladder", "ladder", "join", "generator", "generator"]
