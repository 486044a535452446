"""Shared by the importers: the summary, writing of splits, and data sets whose stories are lists of frame keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from numbers import Number
from pathlib import Path

from storygan.data.images import IMAGE_ERRORS
from storygan.data.schema import SPLITS, Story, shard_name, write_shard
from storygan.errors import StoryganError, printable
from storygan.files import atomic_folder, read_text
from storygan.progress import tqdm

STORIES_PER_SHARD = 500
T = 5  # frames per story of Pororo-SV and Flintstones-SV
MAX_TABLE = 2**28  # bytes of a .csv or .jsonl file


@dataclass
class ImportSummary:
    """The outcome of an import."""

    out: str
    stories: dict[str, int] = field(default_factory=dict)  # split -> number of stories written
    frames: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)  # reason -> names
    notes: list[str] = field(default_factory=list)  # defaults that were applied, one line each
    problems: list[str] = field(default_factory=list)  # file, line, problem

    def skip(self, reason: str, name: str) -> None:
        self.skipped.setdefault(reason, []).append(name)

    def require_stories(self, source: object) -> None:
        """Raise StoryganError, with all notes and problems, where no story was written."""
        if not self.stories:
            raise StoryganError(f"{source} holds no complete story\n{self}".replace("\n", "; "))

    def to_dict(self) -> dict[str, object]:
        """Return the summary for `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        """Return one line for the stories written, and one for each note, reason to skip and problem."""
        counts = ", ".join(f"{split} {count}" for split, count in self.stories.items())
        wrote = f"wrote {sum(self.stories.values())} stories ({counts}), {self.frames} frames, to {self.out}"
        lines = [wrote] if self.stories else []
        lines += [f"note: {note}" for note in self.notes]
        for reason, names in self.skipped.items():
            lines.append(f"skipped {len(names)}: {reason}: {abbreviate(names)}")
        lines += [f"problem: {problem}" for problem in self.problems]
        return "\n".join(map(printable, lines))  # names come from the files


def abbreviate(names: list[str], limit: int = 8) -> str:
    """Join names: '148-195' for consecutive numbers, and only the first `limit` of many."""
    runs: list[list[str]] = []
    for name in names:
        if runs and name.isdecimal() and runs[-1][-1].isdecimal() and int(name) == int(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    texts = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def read_table(path: Path) -> str:
    """Read a UTF-8 text file of at most MAX_TABLE bytes. Raises StoryganError, with the line of a wrong byte."""
    try:
        return read_text(path, MAX_TABLE)
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise StoryganError(
            f"{path}, line {line}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise StoryganError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def write_split(
    folder: Path,
    split: str,
    stories: Iterable[Story],
    label_names: Sequence[str] | None,
    summary: ImportSummary,
    aspect_ratio: float = 1.0,
) -> None:
    """Write the stories to numbered shards in the folder, and count them in the summary."""
    stories = iter(stories)
    parts: list[Path] = []
    while chunk := list(islice(stories, STORIES_PER_SHARD)):
        parts.append(folder / f"{split}.part{len(parts)}")
        write_shard(parts[-1], chunk, label_names, aspect_ratio=aspect_ratio)
        summary.stories[split] = summary.stories.get(split, 0) + len(chunk)
        summary.frames += sum(len(story.frames) for story in chunk)
    for index, part in enumerate(parts):
        part.rename(folder / shard_name(split, index, len(parts)))


@dataclass(frozen=True)
class FrameTable:
    """The frames of a data set, by key."""

    name: str
    sentences: Mapping[str, str]
    labels: Mapping[str, list[int]] | None  # K values of 0 and 1
    label_names: Sequence[str]  # K
    load: Callable[[str], bytes]
    """Load a frame, encoded. Raises FileNotFoundError where it is missing, IMAGE_ERRORS or StoryganError if damaged."""


def import_frame_table(
    table: FrameTable, stories: Mapping[str, Sequence[Sequence[str]]], out: str | Path, notes: Sequence[str]
) -> ImportSummary:
    """Write the stories of each split, lists of T keys, to the new folder OUT; a story's id is its first key.

    A story in two splits goes to the later one (train, validation, test), so that the test set stays as published and
    unseen. Stories with a frame that lacks its sentence, labels or image are skipped. Stories of train and another
    split that share frames are kept, as published, and counted in a note.

    Raises:
        StoryganError: no story is left, or OUT exists.
    """
    summary = ImportSummary(str(out), notes=[*notes])
    kept = _without_duplicates(stories, summary)
    if table.labels is None:
        summary.notes.append("no labels: their file is missing")
    _note_shared_frames(kept, summary)
    load = lru_cache(maxsize=2000)(table.load)  # neighbouring stories share frames
    with atomic_folder(out) as partial:
        with tqdm(total=sum(map(len, kept.values())), unit="story", desc=table.name) as bar:
            for split, keys in kept.items():
                complete = _complete(table, keys, load, summary, bar)
                write_split(partial, split, complete, table.label_names if table.labels else None, summary)
        summary.require_stories(table.name)
    return summary


def _without_duplicates(
    stories: Mapping[str, Sequence[Sequence[str]]], summary: ImportSummary
) -> dict[str, list[Sequence[str]]]:
    kept: dict[str, dict[str, Sequence[str]]] = {}
    for split in reversed(SPLITS):
        kept[split] = {}
        for story in stories.get(split, ()):
            later = next((other for other in SPLITS if other != split and story[0] in kept.get(other, ())), None)
            if later:
                summary.skip(f"stories of {split} that are also in {later} (kept there)", story[0])
            elif story[0] in kept[split]:
                summary.skip(f"stories that are in {split} twice (kept once)", story[0])
            else:
                kept[split][story[0]] = story
    return {split: list(kept[split].values()) for split in SPLITS}


def _note_shared_frames(stories: Mapping[str, Sequence[Sequence[str]]], summary: ImportSummary) -> None:
    train = {key for story in stories["train"] for key in story}
    for split in SPLITS[1:]:
        shared = sum(not train.isdisjoint(story) for story in stories[split])
        if shared:
            summary.notes.append(f"{shared} of {len(stories[split])} stories of {split} share a frame with train")


def _complete(
    table: FrameTable, stories: Sequence[Sequence[str]], load: Callable[[str], bytes], summary: ImportSummary, bar: tqdm
) -> Iterator[Story]:
    """Yield the complete stories; the others go to the summary."""
    for keys in stories:
        bar.update()
        labels = None if table.labels is None else [table.labels.get(key) for key in keys]
        try:
            frames = [load(key) for key in keys]
        except FileNotFoundError:
            summary.skip("stories with a missing image", keys[0])
        except (*IMAGE_ERRORS, StoryganError) as error:
            summary.skip("stories with an unreadable image", f"{keys[0]} ({error})")
        else:
            if any(not table.sentences.get(key) for key in keys):
                summary.skip("stories with a frame without description", keys[0])
            elif labels is not None and None in labels:
                summary.skip("stories with a frame without labels", keys[0])
            else:
                sentences = [table.sentences[key] for key in keys]
                yield Story(keys[0], sentences, frames, None if labels is None else [row or [] for row in labels])


def read_labels(values: Mapping[str, object], names: Sequence[str], source: Path) -> dict[str, list[int]]:
    """Convert labels by key, arrays, lists or tuples, to K ints of 0 and 1. Raises StoryganError for others."""
    labels = {}
    for key, value in values.items():
        row = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(row, list | tuple) or len(row) != len(names) or not all(map(_is_bit, row)):
            raise StoryganError(
                f"{source}: the labels of {key!r} must be {len(names)} values of 0 and 1: download it again"
            )
        labels[key] = [int(bit) for bit in row]
    return labels


def _is_bit(value: object) -> bool:
    return isinstance(value, Number) and value in (0, 1)  # the truth value of an array is undefined
