"""An uninterrupted tiny run, and small disks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.processes import run
from tests.run_folders import differences
from tests.tiny_run import ITERATIONS, new_run


def assert_same_run(run: Path, whole: Path) -> None:
    """Check that two runs are bit-exactly equal at their end."""
    assert differences(run, whole, ITERATIONS) == []


@pytest.fixture(scope="session")
def data(make_dataset: Callable[..., Path]) -> Path:
    """Four stories of one frame."""
    return make_dataset(stories=4, T=1)


@pytest.fixture(scope="session")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, output = run(new_run(data, folder), folder.with_name("log"))
    assert code == 0, output
    return folder


class SmallDisk:
    """A small tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def mount(self, size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk needs root and tmpfs: {done.stderr.strip()}")
        return self.path

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk, not yet mounted."""
    small = SmallDisk(tmp_path / "disk")
    yield small
    small.unmount()
