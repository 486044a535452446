"""Atomic writing, and bounds of what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import (
    MAX_HEADER,
    atomic_open,
    atomic_write,
    locked,
    read_file,
    read_safetensors,
    remove_temporaries,
)


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


def test_of_two_writers_of_a_file_the_last_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with atomic_open(path) as first:
        first.write(b"fir")
        atomic_write(path, b"second")
        first.write(b"st")
    assert path.read_bytes() == b"first"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".x.0a1b2c3d.tmp").touch()
    (tmp_path / ".y.tmp").touch()
    remove_temporaries(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == [".y.tmp"]


def test_a_folder_with_a_link_is_not_locked(tmp_path: Path) -> None:
    """Whoever made the folder would choose where we write."""
    (tmp_path / "run" / "stages").mkdir(parents=True)
    (tmp_path / "run" / "stages" / "1-only").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoryganError, match=r"stages/1-only is a link"), locked(tmp_path / "run"):
        pass
