"""What other systems lack, taken away from this one: names of `os` and `signal`, and folders that can be opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storygan.data.sample import write_sample

WINDOWS = """
import os, signal, sys
nonblock = os.O_NONBLOCK
del os.O_NONBLOCK, os.sched_getaffinity, signal.SIGHUP, signal.SIGUSR1, signal.pthread_sigmask
import storygan.files
os.O_NONBLOCK = nonblock  # for Python's own libraries, which are those of this system
opened = os.open
def refuse_folders(path, *args, **options):
    if os.path.isdir(path) and sys._getframe(1).f_globals["__name__"].startswith("storygan"):
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, *args, **options)
os.open = refuse_folders
def refuse_open(operation):
    # an open file is not renamed or removed, nor a folder that has one; nothing is renamed onto a folder
    def refusing(path, *others, dir_fd=None, **options):
        files = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        held = [file for file in files if dir_fd is None and f"{file}/".startswith(f"{os.path.realpath(path)}/")]
        if held or any(os.path.isdir(other) for other in others):
            raise PermissionError(13, "The process cannot access the file", str(path))
        return operation(path, *others, **({} if dir_fd is None else {"dir_fd": dir_fd}), **options)
    return refusing
for name in ("rename", "replace", "unlink", "rmdir"):
    setattr(os, name, refuse_open(getattr(os, name)))
from storygan.cli import main
sys.exit(main(sys.argv[1:]))
"""
STORY = [f"large red rubber cube at ({x}, 1.5)" for x in (-2, -1, 1, 2)]


STAGES = ("reconstruction", "discriminators", "adversarial")


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", *STORY, "--out", "story.png"],
        ["data", "sample", "empty"],
        ["data", "render-toon", "toon", "--train", "2"],
        pytest.param(
            [
                "train",
                "{root}/configs/quickstart.yaml",
                "--data.path",
                "{root}/src/storygan/data/sample",
                "--run",
                "run",
            ]
            + [f"--stages.{stage}.iterations=1" for stage in STAGES]
            + [f"--stages.{stage}.batch_size=2" for stage in STAGES]
            + ["--validation.every=0", "--threads=1"],
            id="train",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_commands_run_without_the_names_that_windows_lacks(arguments: list[str], tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    write_sample(tmp_path / "sample")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-c", WINDOWS, *(text.replace("{root}", root) for text in arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.glob(".*.partial")]
