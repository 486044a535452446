"""Fuzzing is guided by the branches that contents take."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_contents_that_take_new_branches_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, str(SCRIPT), "--seconds", "5", "--findings", str(tmp_path), "turns.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    row = re.search(r"\| contender's turns.json .* \| (\d+) \| (\d+) \| (\d+) \|", done.stdout)
    assert row is not None, done.stdout + done.stderr
    first, last, new = map(int, row.groups())
    assert 0 < first < last
    assert new > 0
