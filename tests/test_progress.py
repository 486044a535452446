"""Progress bars: hidden in a file, shown in a notebook and where a caller wants them."""

import sys
from types import ModuleType

import pytest

from storygan.progress import tqdm

Output = pytest.CaptureFixture[str]


def test_a_bar_is_hidden_where_stderr_is_no_terminal(capsys: Output) -> None:
    assert list(tqdm(range(3), desc="three")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    list(tqdm(range(3), desc="three", disable=False))
    assert "three" in capsys.readouterr().err


def test_a_notebook_shows_bars(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    list(tqdm(range(3), desc="three"))
    assert "three: 100%" in capsys.readouterr().err
    list(tqdm(range(3), desc="three", disable=True))
    assert capsys.readouterr().err == ""
