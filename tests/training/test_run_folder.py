"""The lock of a run folder."""

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import LOCK, locked


def test_a_locked_folder_is_refused_and_an_empty_one_removed(tmp_path: Path) -> None:
    run, used = tmp_path / "run", tmp_path / "used"
    with locked(run), pytest.raises(StoryganError, match="run is in use by another process"), locked(run):
        pass
    assert not run.exists()
    with locked(used):
        (used / "file").touch()
    assert (used / LOCK).exists()
    with locked(used):
        pass
