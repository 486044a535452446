"""Atomic writing, and bounds of what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import MAX_HEADER, atomic_open, atomic_write, read_file, read_safetensors


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic_write(path, "old")
    with atomic_open(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
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


def test_errors_of_the_system_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"nowhere/x cannot be written: No such file or directory"):
        atomic_write(tmp_path / "nowhere" / "x", "")


def test_files_beyond_a_limit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_file(tmp_path / "x", 5) == b"12345"
    with pytest.raises(ValueError, match="x has 5 bytes: the limit is 4"):
        read_file(tmp_path / "x", 4)
    with pytest.raises(ValueError, match="is not a regular file"):
        read_file(Path("/dev/zero"), 4)
    (tmp_path / "w").write_bytes((MAX_HEADER + 1).to_bytes(8, "little"))
    with pytest.raises(ValueError, match=r"the header of .*w has 10,000,001 bytes"):
        read_safetensors(tmp_path / "w", 100)
