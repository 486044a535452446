"""200 requests, valid and invalid: the server stays up and its memory is bounded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.demo.browser import SCREENSHOTS
from tests.demo.conftest import STORY
from tests.demo.serving import generate, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
VALID = "\n".join(STORY)
INVALID = ["", "x" * 10_000, "\n".join([*STORY[:3], "small pink metal cube at (0, 0)"]), "a\n" * 5000]
ROUNDS, WARMUP = 200, 110  # the samples of the last 100 visitors are kept, so memory grows until then
GROWTH = 10.0  # MB from there: what the allocator keeps
THREAD = 13.0  # MB for each thread more than there: a new thread takes up to 12 at its first generation


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with serving(tmp_path) as server:
        yield server


def memory(process: subprocess.Popen[str]) -> tuple[float, int]:
    """Return the server's resident MB and its number of threads."""
    match = re.search(r"VmRSS:\s+(\d+) kB.*Threads:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(), re.S)
    assert match is not None
    return int(match[1]) / 1000, int(match[2])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_is_bounded_over_200_requests(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    before, _ = memory(process)
    for text in INVALID:
        assert "problem" in generate(address, "clevr-sv", text, 1, 7)
    for number in (0, 9, 1e9, None):
        generate(address, "clevr-sv", VALID, number, 7)
        generate(address, "clevr-sv", VALID, 1, number)
    generate(address, "/etc", VALID, 1, 7)
    sizes, threads = [], []
    for n in range(ROUNDS):
        assert "data:image/webp" in generate(address, "clevr-sv", VALID, 1, n)
        size, number = memory(process)
        sizes.append(size)
        threads.append(number)
    after = ", ".join(f"{sizes[n - 1]:.0f} after {n}" for n in (1, 50, WARMUP, 150, ROUNDS))
    more = max(threads[WARMUP:]) - threads[WARMUP]
    summary = f"resident MB of the server: {before:.0f} before the first request, {after}; then {more} threads more"
    print(summary)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "memory.txt").write_text(f"{summary}\n")
    steps = [after - before for before, after in pairwise(sizes[WARMUP:])]
    once = min(max(steps), THREAD)  # one generation, the 1st or the 160th, takes 6 to 10 MB at once
    assert sum(steps) - once < GROWTH + THREAD * more, sizes[::20]
    assert process.poll() is None
