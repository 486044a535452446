"""A folder of one's own pictures and a list of stories -> the canonical form.

    ROOT/stories.csv      columns story, frame, sentence and, optionally, labels (several parted by ;) and split
    ROOT/stories.jsonl    or: one object a line with these names; labels a list of strings
    ROOT/...              the pictures that `frame` names, relative to ROOT, of any size and mode; formats: `pictures`

A row is a frame; the rows of a story follow one another in the order in which they are to be told, other stories' rows
may stand between them. A story goes to the split that its rows name (train, validation, test), to train where they
name none. Pictures become frames as `pictures.py` says. All stories of a data set have T frames: a longer
story is cut into stories of T (NAME, NAME/2, ...), and what remains, like a story shorter than T, is left out.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from storygan.data.images import frame_from_file
from storygan.data.importers.common import ImportSummary, abbreviated, write_split
from storygan.data.schema import SPLITS, Story
from storygan.errors import StoryganError, UsageError
from storygan.files import atomic_folder, is_file, parse_json

NEEDED = ("story", "frame", "sentence")
COLUMNS = (*NEEDED, "labels", "split")
LONGEST_LINE = 1_000_000  # characters of a .jsonl file's line; a longer one counts as several
LISTS = ("stories.csv", "stories.jsonl")


@dataclass(frozen=True)
class Row:
    """A frame of a story, read and found sound; `where` is the file and line."""

    where: str
    story: str
    frame: bytes
    sentence: str
    labels: list[str]
    split: str


def import_own_stories(root: str | Path, out: str | Path, T: int = 0) -> ImportSummary:
    """Write the stories of ROOT, each to its split, to the new folder OUT and say what was left out and why.

    T is the number of frames of a story; 0: the most frequent one, the smaller of two. A row that cannot be read (a
    value missing, a picture that is not there or does not open) is listed with file and line; its story is left out,
    and where the row does not say which that is, the stories of the rows before and after it. Columns of other names
    are not used, and noted.

    Raises:
        UsageError: T is negative.
        StoryganError: ROOT has no list of stories, the list cannot be read, OUT exists, or nothing is left.
    """
    if T < 0:
        raise UsageError(f"T is {T}: a story has at least 1 frame")
    root, summary = Path(root), ImportSummary(str(out))
    stories = _sound_stories(root, summary)
    if stories:
        lengths = Counter(map(len, stories.values()))
        T = T or min(lengths, key=lambda length: (-lengths[length], length))
        summary.notes.append(f"stories of {T} frames")
    rows = [row for story in stories.values() for row in story]
    names = sorted({label for row in rows for label in row.labels})
    with atomic_folder(out) as partial:
        for split in SPLITS:
            chosen = {name: story for name, story in stories.items() if story[0].split == split}
            write_split(partial, split, _cut(chosen, T, names, summary), names or None, summary)
        if not summary.stories:
            raise StoryganError(f"{root} holds no story to import\n{summary}".replace("\n", "; "))
    return summary


def _sound_stories(root: Path, summary: ImportSummary) -> dict[str, list[Row]]:
    """Name -> rows of the stories without a bad row, in order of appearance."""
    there = [root / name for name in LISTS if (root / name).is_file()]
    if len(there) != 1:
        raise StoryganError(f"{root} must hold one of {' and '.join(LISTS)}; it holds {len(there)} of them")
    (source,) = there
    stories: dict[str, list[Row]] = {}
    spoilt: dict[str, None] = {}
    unused: dict[str, None] = {}
    read = _csv_rows if source.suffix == ".csv" else _jsonl_rows
    before, nameless = "", False
    for line, values, wrong in tqdm(read(source), unit="row", desc=source.name, disable=None):
        where, name = f"{source.name} line {line}", _text(values.get("story"))
        if nameless and name:
            spoilt[name] = None
        before, nameless = name or before, not name
        unused |= dict.fromkeys(name for name in values if name and name not in COLUMNS)
        try:
            if wrong:
                raise ValueError(wrong)
            row = _row(where, values, root)
            rows = stories.setdefault(row.story, [])
            if rows and row.split != rows[0].split:
                raise ValueError(f"the split is {row.split}, but {rows[0].split} in an earlier row of the story")
            rows.append(row)
        except ValueError as error:
            summary.problems.append(f"{where}: {error}")
            if name or before:
                spoilt[name or before] = None
    for name in spoilt:
        summary.skip("stories with a bad row", name)
        stories.pop(name, None)
    if unused:
        summary.notes.append(f"columns not used: {abbreviated(list(unused))}")
    return stories


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """(line in which it begins, values by column, what is wrong with the row: empty where nothing is)."""
    rows = csv.reader(_lines(path), strict=True)
    begins = 1  # the line in which a row begins
    try:
        columns = [name.strip() for name in next(rows, [])]
        columns = [name.lower() if name.lower() in COLUMNS else name for name in columns]
        _check_columns(path, columns)
        begins = rows.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                named: dict[str, Any] = dict(zip(columns, row, strict=False))
                if "labels" in named:
                    named["labels"] = [label for label in named["labels"].split(";") if label.strip()]
                yield begins, named, "more values than columns" if len(row) > len(columns) else ""
            begins = rows.line_num + 1
    except csv.Error as error:
        raise StoryganError(
            f"{path}, line {begins}: the row that begins here is not CSV ({error}): close its quotes"
        ) from error


def _check_columns(path: Path, columns: list[str]) -> None:
    """StoryganError where one that is needed is missing, or one is there twice."""
    for name in NEEDED:
        if name not in columns:
            raise StoryganError(
                f"{path}: the first line must name the columns {', '.join(NEEDED)}, parted by commas; {name} is missing"
            )
    for name, times in Counter(columns).items():
        if name and times > 1:
            raise StoryganError(f"{path}: the first line names the column {name} {times} times: keep one")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """(line, the object in it, what is wrong with the line: empty where nothing is)."""
    for line, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            value, wrong = parse_json(text), "not an object"
        except ValueError as error:
            value, wrong = None, f"not JSON ({error})"
        yield (line, value, "") if isinstance(value, dict) else (line, {}, wrong)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file; StoryganError names the first that is not."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for line, text in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
                try:
                    text.encode()
                except UnicodeEncodeError as error:
                    byte = ord(text[error.start]) - 0xDC00
                    raise StoryganError(
                        f"{path}, line {line}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
                    ) from error
                yield text
    except OSError as error:
        raise StoryganError(f"{path} cannot be read: {error.strerror or error}") from error


def _text(value: object) -> str:
    """A text in one line, or a whole number as a text; empty where it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _row(where: str, values: dict[str, Any], root: Path) -> Row:
    """The row with its frame; ValueError says what is wrong with it."""
    told = {name: _text(values.get(name)) for name in COLUMNS if name != "labels"}
    for name in NEEDED:
        if not told[name]:
            raise ValueError(f"no {name}" if isinstance(values.get(name), str | None) else f"the {name} must be a text")
    labels = values.get("labels")
    if labels is not None and (not isinstance(labels, list) or any(not isinstance(label, str) for label in labels)):
        raise ValueError("labels must be a list of strings")
    named = [" ".join(label.split()) for label in labels or () if label.strip()]
    for name, text in [*told.items(), *(("labels", label) for label in named)]:
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"the {name} {text!r} has a character that no text has")
    split = told["split"] if values.get("split") else SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"the split must be one of {', '.join(SPLITS)}")
    path = root / str(values["frame"]).strip()
    if not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the picture {told['frame']} is outside the folder")
    if not is_file(path):
        raise ValueError(f"there is no picture {told['frame']}")
    try:
        frame = frame_from_file(path)
    except ValueError as error:
        raise ValueError(f"the picture {told['frame']} does not open: {error}") from error
    return Row(where, told["story"], frame, told["sentence"], named, split)


def _cut(stories: dict[str, list[Row]], T: int, names: list[str], summary: ImportSummary) -> Iterator[Story]:
    """Stories of T frames; what is left out goes to the summary."""
    for name, rows in stories.items():
        if len(rows) < T:
            summary.skip(f"stories of fewer than {T} frames", f"{name} ({len(rows)})")
            continue
        if len(rows) % T:
            first = rows[len(rows) - len(rows) % T].where
            summary.skip(f"ends of stories that leave fewer than {T} frames", f"{name} (from {first})")
        for n in range(len(rows) // T):
            part = rows[n * T : (n + 1) * T]
            labels = [[int(label in row.labels) for label in names] for row in part] if names else None
            told, frames = [row.sentence for row in part], [row.frame for row in part]
            story_id = name if n == 0 else f"{name}/{n + 1}"
            while n and story_id in stories:
                story_id += "'"
            yield Story(story_id, told, frames, labels)
