"""Reading the metrics of a run, and the lock of its folder."""

import json
from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.files import LOCK, locked
from storygan.training.run_folder import read_metrics


def test_logged_metrics_are_read(tmp_path: Path) -> None:
    logged = [{"step": 1, "KL": 0.1}, {"step": 2, "KL": 3.4e38, "D_I": 1}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in logged) + '{"step": 3, "K')  # killed while writing
    assert list(read_metrics(path)) == logged


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "{}",
        "",
        "[",
        "[" * 100_000,
        '{"step": true}',
        '{"step": 0}',
        '{"step": 2, "KL": NaN}',
        '{"step": 2, "a": "x"}',
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(StoryganError, match=r"metrics\.jsonl, line 2, holds no metrics \(.*\): remove the line"):
        list(read_metrics(path))


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"metrics\.jsonl cannot be read"):
        list(read_metrics(tmp_path / "metrics.jsonl"))


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
