"""A bar where drawing takes its time, and where somebody sees it."""

from __future__ import annotations

import io
import sys

import pytest

from storygan.models.storygan import batches, with_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_shown_for_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(with_bar(batches(64, 4), "batch")) == [slice(0, 64)]
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    assert len(list(with_bar(batches(130, 4), "batch"))) == 3
    assert "draw: 100%" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_none_is_shown_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_bar(range(99), "step", least=65)) == list(range(99))
    assert capsys.readouterr().err == ""


def test_a_story_of_many_frames_is_a_batch() -> None:
    assert batches(3, 100) == [slice(0, 2), slice(2, 4)]
    assert batches(2, 1000) == [slice(0, 1), slice(1, 2)]
