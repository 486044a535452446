"""How often each kind of fault was caused, and how often what must hold held: printed when the tests end."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/fault-tolerance.md").read_text()
ROWS = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in PAGE.splitlines() if re.search(r"\| \d+ \|$", line)]
"""Of the page's table: what goes wrong, how it is caused, what must hold, the test, tried, held."""
TRIED: Counter[str] = Counter()
HELD: Counter[str] = Counter()


@contextmanager
def fault(kind: str) -> Iterator[None]:
    """One try; it held if the block ends without an error. `kind` is its row in docs/faults.md."""
    TRIED[kind] += 1
    yield
    HELD[kind] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of docs/faults.md, as far as it was run."""
    tally = _tally(terminalreporter)
    if tally:
        terminalreporter.section("faults: tried, held")
        for kind, (tried, held) in tally.items():
            terminalreporter.line(f"{tried:6} {held:6}  {kind}")
        for line in _stale(terminalreporter):
            terminalreporter.line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where the page says other counts."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.exitstatus and reporter and _stale(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reports(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    """Of the ends of this folder's tests."""
    ended = (report for reports in reporter.stats.values() for report in reports)
    return [
        report for report in ended if getattr(report, "when", "") == "teardown" and "tests/faults/" in report.nodeid
    ]


def _tally(reporter: pytest.TerminalReporter) -> dict[str, tuple[int, int]]:
    """How often each kind was tried and held in the session."""
    tally: dict[str, tuple[int, int]] = {}
    for report in _reports(reporter):
        for kind, tried, held in dict(report.user_properties).get("faults", []):
            before = tally.get(kind, (0, 0))
            tally[kind] = before[0] + tried, before[1] + held
    return tally


def _stale(reporter: pytest.TerminalReporter) -> list[str]:
    """A line for each row whose counts are not those of the session, if it ran all the quick or all the slow tests.

    Rows that were not tried are left out: their tests were skipped for want of root or of a package.
    """
    option = reporter.config.option
    files = {report.nodeid.split("::")[0] for report in _reports(reporter)}
    slow = option.markexpr == "slow"
    chosen = option.keyword or any("::" in argument for argument in reporter.config.args)
    whole = slow or files == {f"tests/faults/{path.name}" for path in HERE.glob("test_*.py")}
    if chosen or not whole or option.markexpr not in ("slow", "not slow") or "STORYGAN_KILLS" in os.environ:
        return []
    tally = _tally(reporter)
    rows = {kind.removesuffix(" *"): (int(tried), int(held)) for kind, *_, tried, held in ROWS if slow == ("*" in kind)}
    return [
        f"docs/faults.md says {row[0]} tried, {row[1]} held, and it is {tally[kind][0]}, {tally[kind][1]}: {kind}"
        for kind, row in rows.items()
        if kind in tally and tally[kind] != row
    ]
