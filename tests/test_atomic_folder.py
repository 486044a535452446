"""files.atomic_folder: a new folder appears complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import atomic_folder


def test_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a" / "out") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    assert (tmp_path / "a" / "out" / "x").read_text() == "1"


def test_empty_folder_and_leftover_of_a_killed_process_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "old").touch()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "x").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]


def test_failed_block_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_folder(tmp_path / "a" / "b" / "out") as folder:
            (folder / "x").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert not list(tmp_path.iterdir())


def test_full_disk_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"out was not written: .*No space left"), atomic_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    for name in ("file", "full"):
        with pytest.raises(StoryganError, match="already exists"), atomic_folder(tmp_path / name):
            pass
    assert (tmp_path / "full" / "x").read_text() == "mine"


def test_two_processes_do_not_fill_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "x").write_text("first")
        with pytest.raises(StoryganError, match=r"out is in use by another process"), atomic_folder(out):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.read_text() for path in out.iterdir()] == ["first"]


def test_nothing_is_removed_or_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").write_text("mine")
    for name, target in ((".out.partial", "other"), (".out.lock", "other/mine")):
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(StoryganError, match=f"{name} is a link"), atomic_folder(tmp_path / "out"):
            pass
        (tmp_path / name).unlink()
    assert [path.read_text() for path in (tmp_path / "other").iterdir()] == ["mine"]
