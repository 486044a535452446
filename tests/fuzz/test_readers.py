"""Every reader of a user's file against hostile content: it reads it, or refuses it in one printable line.

A few fixed examples a reader, of those that `scripts/fuzz.py` starts from and of what becomes of them when bytes
change. All of them, with limited memory, are a slow test; coverage-guided fuzzing is `scripts/fuzz.py`.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, judge

EXAMPLES, MAX_SEEDS = 8, 40
HEAVY = {"model model.safetensors", "model README.md"}  # ten megabytes each time


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in HEAVY])
def test_a_reader_reads_or_refuses_in_one_line(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    contents = list(itertools.islice(target.prepare(tmp_path), MAX_SEEDS))
    assert judge(target, tmp_path, contents[0]), "the sound content is not read"

    @settings(
        derandomize=True, database=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None
    )
    @given(st.integers(0, 2**32 - 1))
    def try_one(seed: int) -> None:
        rng = random.Random(seed)
        content = rng.choice(contents)
        judge(target, tmp_path, mutated(content, rng) if rng.random() < 0.7 else content)

    try_one()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_that_fuzzing_starts_from() -> None:
    """Each reader in a process of its own, with limited memory and time a content."""
    script = Path(__file__).parents[2] / "scripts" / "fuzz.py"
    done = subprocess.run([sys.executable, str(script), "--replay"], capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout + done.stderr
