"""Two hundred requests in a row, good and bad, leave the server alive and its memory flat."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.demo.browser import SCREENSHOTS
from tests.demo.conftest import STORY
from tests.demo.serving import draw, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
GOOD = "\n".join(STORY)
BAD = ["", "x" * 10_000, "\n".join([*STORY[:3], "small pink metal cube at (0, 0)"]), "a\n" * 5000]
ROUNDS, WARM_UP = 200, 110  # the drawings of the last 100 visitors are kept, so memory grows until then
GROWTH = 10.0  # MB from there: what the allocator keeps
THREAD = 13.0  # MB for each thread more than there: 12 at once is what one takes that draws for the first time


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with serving(tmp_path) as server:
        yield server


def memory(process: subprocess.Popen[str]) -> tuple[float, int]:
    """MB that the server has resident, and its threads."""
    match = re.search(r"VmRSS:\s+(\d+) kB.*Threads:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(), re.S)
    assert match is not None
    return int(match[1]) / 1000, int(match[2])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_200_requests_leave_it_alive_and_flat(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    before, _ = memory(process)
    for text in BAD:
        assert "problem" in draw(address, "clevr-sv", text, 1, 7)
    for number in (0, 9, 1e9, None):
        draw(address, "clevr-sv", GOOD, number, 7)
        draw(address, "clevr-sv", GOOD, 1, number)
    draw(address, "/etc", GOOD, 1, 7)
    sizes, threads = [], []
    for n in range(ROUNDS):
        assert "data:image/png" in draw(address, "clevr-sv", GOOD, 1, n)
        size, number = memory(process)
        sizes.append(size)
        threads.append(number)
    after = ", ".join(f"{sizes[n - 1]:.0f} after {n}" for n in (1, 50, WARM_UP, 150, ROUNDS))
    more = max(threads[WARM_UP:]) - threads[WARM_UP]
    told = f"MB that the server has resident: {before:.0f} before the first draw, {after}; then {more} threads more"
    print(told)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / "memory.txt").write_text(f"{told}\n")
    steps = [after - before for before, after in pairwise(sizes[WARM_UP:])]
    once = min(max(steps), THREAD)  # at one drawing, the 1st or the 160th, 6 to 10 MB are taken together
    assert sum(steps) - once < GROWTH + THREAD * more, sizes[::20]
    assert process.poll() is None
