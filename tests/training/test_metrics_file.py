"""The log of a run, read again."""

from pathlib import Path

import pytest

from storygan.errors import StoryganError
from storygan.training.run_folder import metrics_line, read_metrics


def test_what_was_logged_is_read(tmp_path: Path) -> None:
    logged = [{"step": 1, "KL": 0.1}, {"step": 2, "KL": 3.4e38, "D_I": 1}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(map(metrics_line, logged)) + '{"step": 3, "K')  # killed while it wrote
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
def test_a_line_of_something_else_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(StoryganError, match=r"metrics\.jsonl, line 2, holds no metrics \(.*\): remove the line"):
        list(read_metrics(path))


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"metrics\.jsonl cannot be read"):
        list(read_metrics(tmp_path / "metrics.jsonl"))
