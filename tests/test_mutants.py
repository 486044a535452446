"""scripts/mutants.py: its list fits the code; mutants are killed, survive, or are broken."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def mutants(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the script as a module, which its processes can import."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("mutants")


@pytest.fixture
def project(mutants: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a package of one function, and a test of it."""
    package, tests = tmp_path / "src" / "storygan", tmp_path / "tests"
    for folder in (package, tests):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sums.py").write_text("def plus(a, b):\n    total = a + b\n    return total\n")
    (tests / "test_sums.py").write_text(
        "def test_plus():\n    from storygan.sums import plus\n    assert plus(2, 0) == 2\n    assert plus(2, 3) == 5\n"
    )
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return tmp_path


def test_every_mutant_of_the_list_can_be_made(mutants: Any, tmp_path: Path) -> None:
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(set(names)) == len(names)
    for mutant in mutants.MUTANTS:
        file = tmp_path / "storygan" / mutant.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((ROOT / "src" / "storygan" / mutant.file).read_text())
        mutants.mutate(tmp_path, mutant)
        compile(file.read_text(), mutant.name, "exec")
        for test in mutant.tests:
            file, _, name = test.partition("[")[0].partition("::")
            assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists(), mutant.name


@pytest.mark.slow
def test_killed_survived_and_broken(mutants: Any, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = "tests/test_sums.py"
    killed = mutants.group("sums.py", test, ("minus", "a + b", "a - b"))
    survived = mutants.group("sums.py", test, ("swapped", "a + b", "b + a"))
    changes = {"twice": ("a", "b"), "never": ("a * b", "a"), "no name": ("a + b", "c")}
    broken = mutants.group("sums.py", test, *((name, *change) for name, change in changes.items()))
    before = (project / "src/storygan/sums.py").read_text()
    assert mutants.main(killed) == 0
    assert mutants.main([*killed, *survived, *broken]) == 1
    out = capsys.readouterr().out
    for name, verdict in {"swapped": "SURVIVED", **dict.fromkeys(changes, "BROKEN")}.items():
        assert re.search(rf"^{name} +{verdict} ", out, re.MULTILINE), out
    assert len(re.findall(r"^minus +killed .* tests/test_sums.py::test_plus$", out, re.MULTILINE)) == 2
    assert (project / "src/storygan/sums.py").read_text() == before


@pytest.mark.slow
def test_tests_that_fail_without_a_change_are_an_error(
    mutants: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = mutants.group("sums.py", "tests/test_sums.py", ("minus", "a + b", "a - b"))
    (project / "src/storygan/sums.py").write_text("def plus(a, b):\n    return a + b + 1\n")
    assert mutants.main(mutant) == 1
    assert "do not pass without a change" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "output", "verdict"),
    [
        (0, "1 passed", "SURVIVED"),
        (1, "FAILED tests/a.py::test_b[c d] - assert 1 == 2\n1 failed", "killed"),
        (1, "ERROR tests/a.py - ImportError: no x\n1 error", "BROKEN"),
        (1, "E   ModuleNotFoundError: x\nFAILED tests/a.py::test_b - ModuleNotFoundError: x\n1 failed", "BROKEN"),
        (
            1,
            "stderr of a program\nNameError: name 'x' is not defined\nFAILED tests/a.py::test_b - assert 1 == 0",
            "BROKEN",
        ),
        (2, "Interrupted: 1 error during collection", "BROKEN"),
        (4, "ERROR: not found: tests/a.py::test_x", "BROKEN"),
        (5, "no tests ran", "BROKEN"),
        (-9, "", "BROKEN"),
    ],
)
def test_verdicts(mutants: Any, code: int, output: str, verdict: str) -> None:
    result = mutants.verdict(code, output)
    assert result.verdict == verdict
    if verdict == "killed":
        assert result.by == "tests/a.py::test_b[c d]"
