"""A file that appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import atomic_open, atomic_write


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic_write(path, "old")
    with atomic_open(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_nothing_stays_of_a_block_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic_write(path, b"old")

    def fill() -> None:
        with atomic_open(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_what_the_system_says_is_one_line_with_the_name(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"nowhere/x cannot be written: No such file or directory"):
        atomic_write(tmp_path / "nowhere" / "x", "")
