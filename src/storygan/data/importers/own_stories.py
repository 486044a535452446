"""Import a folder of images and a list of stories.

    ROOT/stories.csv      columns story, frame, sentence and, optionally, labels (separated by ;) and split
    ROOT/stories.jsonl    or: one object per line with these keys; labels are a list of strings
    ROOT/...              the images, relative to ROOT, of any size and mode, in a format of `images.IMPORT_FORMATS`

A row is a frame. The rows of a story are in the order of the story; rows of other stories may be in between. The split
is train, validation or test; default: train. `images.frame_from_image` converts the images. All stories of a data set
have T frames: longer ones are cut into stories of T (NAME, NAME/2, ...), and shorter rests are skipped.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storygan.data.images import SIZE, frame_from_file
from storygan.data.importers.common import ImportSummary, abbreviate, read_table, write_split
from storygan.data.schema import SPLITS, Story
from storygan.errors import StoryganError, UsageError
from storygan.files import atomic_folder, parse_json
from storygan.progress import tqdm

REQUIRED = ("story", "frame", "sentence")
COLUMNS = (*REQUIRED, "labels", "split")
MAX_LINE = 1_000_000  # characters of a .jsonl line
LISTS = ("stories.csv", "stories.jsonl")


@dataclass(frozen=True)
class Row:
    """A valid frame of a story; `where` is file and line."""

    where: str
    story: str
    frame: bytes
    sentence: str
    labels: list[str]
    split: str


def import_own_stories(root: str | Path, out: str | Path, T: int = 0, size: int = SIZE) -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT.

    An invalid row (a missing value, a missing or damaged image) is listed with file and line, and its story is skipped.
    If it does not name its story, the stories of the rows before and after it are skipped. Other columns are ignored,
    and noted.

    Args:
        root: folder of the images and the list.
        out: folder of the new data set.
        T: frames per story; 0: the most frequent length, the smaller of two.
        size: pixels a side of a frame.

    Raises:
        UsageError: T is negative.
        StoryganError: ROOT has no list of stories, the list cannot be read, no story is left, or OUT exists.
    """
    if T < 0:
        raise UsageError(f"T is {T}: a story has at least 1 frame")
    root, summary = Path(root), ImportSummary(str(out))
    stories = _valid_stories(root, summary, size)
    if stories:
        lengths = Counter(map(len, stories.values()))
        T = T or min(lengths, key=lambda length: (-lengths[length], length))
        summary.notes.append(f"stories of {T} frames")
    rows = [row for story in stories.values() for row in story]
    names = sorted({label for row in rows for label in row.labels})
    with atomic_folder(out) as partial:
        for split in SPLITS:
            selected = {name: story for name, story in stories.items() if story[0].split == split}
            write_split(partial, split, _cut(selected, T, names, summary), names or None, summary)
        summary.require_stories(root)
    return summary


def _valid_stories(root: Path, summary: ImportSummary, size: int) -> dict[str, list[Row]]:
    """Return the rows of the stories without an invalid row, by name in order of appearance."""
    lists = [root / name for name in LISTS if (root / name).is_file()]
    if len(lists) != 1:
        raise StoryganError(f"{root} must hold one of {' and '.join(LISTS)}; it holds {len(lists)} of them")
    (source,) = lists
    stories: dict[str, list[Row]] = {}
    invalid: dict[str, None] = {}  # stories; a dict keeps the order
    ignored: dict[str, None] = {}  # columns
    read = _csv_rows if source.suffix == ".csv" else _jsonl_rows
    previous, unnamed = "", False
    for line, values, problem in tqdm(read(source), unit="row", desc=source.name):
        where, name = f"{source.name} line {line}", _text(values.get("story"))
        if unnamed and name:
            invalid[name] = None
        previous, unnamed = name or previous, not name
        ignored |= dict.fromkeys(name for name in values if name and name not in COLUMNS)
        try:
            if problem:
                raise ValueError(problem)
            row = _row(where, values, root, size)
            rows = stories.setdefault(row.story, [])
            if rows and row.split != rows[0].split:
                raise ValueError(f"the split is {row.split}, but {rows[0].split} in an earlier row of the story")
            rows.append(row)
        except ValueError as error:
            summary.problems.append(f"{where}: {error}")
            if name or previous:
                invalid[name or previous] = None
    for name in invalid:
        summary.skip("stories with an invalid row", name)
        stories.pop(name, None)
    if ignored:
        summary.notes.append(f"ignored columns: {abbreviate(list(ignored))}")
    return stories


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield each row's first line, its values by column, and its problem or ""."""
    rows = csv.reader(io.StringIO(read_table(path), newline=""), strict=True)
    start = 1  # the line in which a row starts
    try:
        columns = [name.strip() for name in next(rows, [])]
        columns = [name.lower() if name.lower() in COLUMNS else name for name in columns]
        _check_columns(path, columns)
        start = rows.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                values: dict[str, Any] = dict(zip(columns, row, strict=False))
                if "labels" in values:
                    values["labels"] = [label for label in values["labels"].split(";") if label.strip()]
                yield start, values, "more values than columns" if len(row) > len(columns) else ""
            start = rows.line_num + 1
    except csv.Error as error:
        raise StoryganError(
            f"{path}, line {start}: the row that starts here is not CSV ({error}): close its quotes"
        ) from error


def _check_columns(path: Path, columns: list[str]) -> None:
    """Raise StoryganError where a required column is missing, or a column occurs twice."""
    for name in REQUIRED:
        if name not in columns:
            required = ", ".join(REQUIRED)
            raise StoryganError(f"{path}: the first line must be the columns {required} with commas; {name} is missing")
    for name, times in Counter(columns).items():
        if name and times > 1:
            raise StoryganError(f"{path}: the first line has the column {name} {times} times: keep one")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield each line's number, the object in it, and its problem or ""."""
    for line, text in enumerate(io.StringIO(read_table(path), newline=""), start=1):
        if not text.strip():
            continue
        try:
            value = parse_json(text) if len(text) <= MAX_LINE else None
            problem = "not an object" if len(text) <= MAX_LINE else f"more than {MAX_LINE:,} characters"
        except ValueError as error:
            value, problem = None, f"not JSON ({error})"
        yield (line, value, "") if isinstance(value, dict) else (line, {}, problem)


def _text(value: object) -> str:
    """Return a text as one line, an int as text, and "" for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _row(where: str, values: dict[str, Any], root: Path, size: int) -> Row:
    """Return the row with its frame. Raises ValueError where it is invalid."""
    texts = {name: _text(values.get(name)) for name in COLUMNS if name != "labels"}
    for name in REQUIRED:
        if not texts[name]:
            raise ValueError(f"no {name}" if isinstance(values.get(name), str | None) else f"the {name} must be a text")
    labels = values.get("labels")
    if labels is not None and (not isinstance(labels, list) or any(not isinstance(label, str) for label in labels)):
        raise ValueError("labels must be a list of strings")
    labels = [" ".join(label.split()) for label in labels or () if label.strip()]
    for name, text in [*texts.items(), *(("labels", label) for label in labels)]:
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"the {name} {text!r} has a NUL or an unpaired surrogate")
    split = texts["split"] if values.get("split") else SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"the split must be one of {', '.join(SPLITS)}")
    path = root / str(values["frame"]).strip()
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except RuntimeError as error:
        raise ValueError(f"the image {texts['frame']} is a loop of links") from error
    if not inside:
        raise ValueError(f"the image {texts['frame']} is outside the folder")
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        raise ValueError(f"the image {texts['frame']} does not exist")
    try:
        frame = frame_from_file(path, size)
    except ValueError as error:
        raise ValueError(f"the image {texts['frame']} cannot be read: {error}") from error
    return Row(where, texts["story"], frame, texts["sentence"], labels, split)


def _cut(stories: dict[str, list[Row]], T: int, names: list[str], summary: ImportSummary) -> Iterator[Story]:
    """Yield stories of T frames; shorter rests go to the summary."""
    for name, rows in stories.items():
        if len(rows) < T:
            summary.skip(f"stories of fewer than {T} frames", f"{name} ({len(rows)})")
            continue
        if len(rows) % T:
            first = rows[len(rows) - len(rows) % T].where
            summary.skip(f"ends of stories of fewer than {T} frames", f"{name} (from {first})")
        for n in range(len(rows) // T):
            part = rows[n * T : (n + 1) * T]
            labels = [[int(label in row.labels) for label in names] for row in part] if names else None
            story_id = name if n == 0 else f"{name}/{n + 1}"
            while n and story_id in stories:
                story_id += "'"
            yield Story(story_id, [row.sentence for row in part], [row.frame for row in part], labels)
