"""docs/faults.md names tests that exist; that its counts are those of a run, `tally` sees at the run's end."""

from __future__ import annotations

import re

from tests.faults.tally import HERE, ROWS


def test_every_row_names_its_test_and_held() -> None:
    assert len(ROWS) >= 20
    for kind, _, _, test, tried, held in ROWS:
        file, name = test.strip("`").split("::")
        assert f"def {name}(" in (HERE / file).read_text(), kind
        assert int(tried) == int(held) > 0, kind


def test_every_kind_of_fault_has_its_row() -> None:
    kinds = {kind.removesuffix(" *") for kind, *_ in ROWS}
    assert len(kinds) == len(ROWS)
    sources = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    caused = set(re.findall(r'fault\("([^"]+)"', sources))
    damaged = [*re.findall(r'damage\(\s*path, "([^"]+)"', sources), "a memory map"]
    caused |= {f"{kind} {how}" for kind in damaged for how in ("with a flipped bit", "cut short")}
    caused |= {"Ctrl-C", *(f"{name} while stories are drawn" for name in ("SIGTERM", "Ctrl-C", "SIGKILL"))}
    assert kinds == caused
