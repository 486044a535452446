"""`metrics.jsonl` of a run folder: a line of JSON a logged iteration, `step` and the metrics by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from storygan.files import parse_json, read_file
from storygan.types import StoryganError, reason

METRICS = "metrics.jsonl"
MOST_BYTES = 256 * 2**20
"""Half a million lines."""
MOST_VALUE = 3.5e38
"""Of a float32, which losses are."""


def metrics_line(values: dict[str, float]) -> str:
    """The line of one iteration."""
    return json.dumps(values) + "\n"


def read_metrics(path: Path) -> Iterator[dict[str, float]]:
    """The lines one by one. What follows the last line break is left out: a process was killed while it wrote that.

    Raises:
        StoryganError: the file cannot be read, or a line is not as `metrics_line` makes them.
    """
    try:
        lines = read_file(path, MOST_BYTES).split(b"\n")[:-1]
    except (OSError, ValueError) as error:
        raise StoryganError(f"{path} cannot be read: {reason(error)}") from error
    for n, line in enumerate(lines, 1):
        try:
            yield _metrics(line)
        except ValueError as error:
            raise StoryganError(f"{path}, line {n}, holds no metrics ({reason(error)}): remove the line") from error


def _metrics(line: bytes) -> dict[str, float]:
    """What a line holds; ValueError where it is not as it should be."""
    values = parse_json(line)
    if not isinstance(values, dict) or type(values.get("step")) is not int or values["step"] < 1:
        raise ValueError("there is no step")
    for name, value in values.items():
        if not name.isprintable() or type(value) not in (int, float) or not -MOST_VALUE <= value <= MOST_VALUE:
            raise ValueError(f"{name!r} is no metric")
    return values
