"""What every importer hands back: what was read, what was skipped and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from numbers import Number
from pathlib import Path

from tqdm import tqdm

from storygan.data.images import UNREADABLE
from storygan.data.schema import SPLITS, Story, shard_name, write_shard
from storygan.errors import StoryganError, printable
from storygan.files import atomic_folder


@dataclass
class ImportSummary:
    """The outcome of an import; `skipped` maps a reason to the things it kept out."""

    out: str
    stories: dict[str, int] = field(default_factory=dict)  # split -> number of stories written
    frames: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what was decided for the user, one line each
    problems: list[str] = field(default_factory=list)  # file, line, what is wrong with it

    def skip(self, reason: str, thing: str) -> None:
        self.skipped.setdefault(reason, []).append(thing)

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for what was written, if anything, and one for each note, reason to skip and problem."""
        counts = ", ".join(f"{split} {count}" for split, count in self.stories.items())
        wrote = f"wrote {sum(self.stories.values())} stories ({counts}), {self.frames} frames, to {self.out}"
        lines = [wrote] if self.stories else []
        lines += [f"note: {note}" for note in self.notes]
        for reason, things in self.skipped.items():
            lines.append(f"skipped {len(things)}: {reason}: {abbreviated(things)}")
        lines += [f"bad: {problem}" for problem in self.problems]
        return "\n".join(map(printable, lines))  # names come from the files


def abbreviated(things: list[str], most: int = 8) -> str:
    """'148-195' for consecutive numbers, else the names, the first few where there are many."""
    runs: list[list[str]] = []
    for thing in things:
        if runs and thing.isdecimal() and runs[-1][-1].isdecimal() and int(thing) == int(runs[-1][-1]) + 1:
            runs[-1].append(thing)
        else:
            runs.append([thing])
    texts = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


STORIES_PER_SHARD = 500


def write_split(
    folder: Path, split: str, stories: Iterable[Story], label_names: Sequence[str] | None, summary: ImportSummary
) -> None:
    """Write the stories to numbered shards in the folder, and count them in the summary."""
    stories = iter(stories)
    parts: list[Path] = []
    while chunk := list(islice(stories, STORIES_PER_SHARD)):
        parts.append(folder / f"{split}.part{len(parts)}")
        write_shard(parts[-1], chunk, label_names)
        summary.stories[split] = summary.stories.get(split, 0) + len(chunk)
        summary.frames += sum(len(story.frames) for story in chunk)
    for index, part in enumerate(parts):
        part.rename(folder / shard_name(split, index, len(parts)))


T = 5  # frames of a story


@dataclass(frozen=True)
class Cartoon:
    """The frames of a data set, by key."""

    name: str
    sentences: Mapping[str, str]
    labels: Mapping[str, list[int]] | None  # K values of 0 and 1
    label_names: Sequence[str]  # K
    picture: Callable[[str], bytes]
    """The frame, encoded; FileNotFoundError where it is missing, one of UNREADABLE or StoryganError where damaged."""


def import_cartoon(
    cartoon: Cartoon, stories: Mapping[str, Sequence[Sequence[str]]], out: str | Path, notes: Sequence[str]
) -> ImportSummary:
    """Write the stories of each split (lists of T keys) to the new folder OUT; a story's id is its first key.

    A story that two splits have goes to the later one (train, validation, test), so that a test set stays as published
    and its stories unseen. One with a frame that lacks its sentence, its labels or its picture is left out. Frames
    that stories of train and of another split share are noted, after `notes`: they stay, as in the published splits.
    StoryganError where no story is left or OUT exists.
    """
    summary = ImportSummary(str(out), notes=[*notes])
    kept = _without_repeats(stories, summary)
    if cartoon.labels is None:
        summary.notes.append("no labels: the file that holds them is not there")
    _note_shared_frames(kept, summary)
    read = lru_cache(maxsize=2000)(cartoon.picture)  # neighbouring stories share frames
    with atomic_folder(out) as partial:
        with tqdm(total=sum(map(len, kept.values())), unit="story", desc=cartoon.name, disable=None) as bar:
            for split, chosen in kept.items():
                complete = _complete(cartoon, chosen, read, summary, bar)
                write_split(partial, split, complete, cartoon.label_names if cartoon.labels else None, summary)
        if not summary.stories:
            raise StoryganError(f"there is no complete story\n{summary}".replace("\n", "; "))
    return summary


def _without_repeats(
    stories: Mapping[str, Sequence[Sequence[str]]], summary: ImportSummary
) -> dict[str, list[Sequence[str]]]:
    kept: dict[str, dict[str, Sequence[str]]] = {}
    for split in reversed(SPLITS):
        kept[split] = {}
        for story in stories.get(split, ()):
            later = next((other for other in SPLITS if other != split and story[0] in kept.get(other, ())), None)
            if later:
                summary.skip(f"stories of {split} that are in {later} too (kept there)", story[0])
            elif story[0] in kept[split]:
                summary.skip(f"stories that are in {split} twice (kept once)", story[0])
            else:
                kept[split][story[0]] = story
    return {split: list(kept[split].values()) for split in SPLITS}


def _note_shared_frames(stories: Mapping[str, Sequence[Sequence[str]]], summary: ImportSummary) -> None:
    trained = {key for story in stories["train"] for key in story}
    for split in SPLITS[1:]:
        shared = sum(not trained.isdisjoint(story) for story in stories[split])
        if shared:
            summary.notes.append(f"{shared} of {len(stories[split])} stories of {split} share a frame with train")


def _complete(
    cartoon: Cartoon,
    stories: Sequence[Sequence[str]],
    read: Callable[[str], bytes],
    summary: ImportSummary,
    bar: tqdm,
) -> Iterator[Story]:
    """The stories that have all they need; the others go to the summary."""
    for story in stories:
        bar.update()
        labels = None if cartoon.labels is None else [cartoon.labels.get(key) for key in story]
        try:
            frames = [read(key) for key in story]
        except FileNotFoundError:
            summary.skip("stories with a picture missing", story[0])
        except (*UNREADABLE, StoryganError) as error:
            summary.skip("stories with an unreadable picture", f"{story[0]} ({error})")
        else:
            if any(not cartoon.sentences.get(key) for key in story):
                summary.skip("stories with a frame without description", story[0])
            elif labels is not None and None in labels:
                summary.skip("stories with a frame without labels", story[0])
            else:
                told = [cartoon.sentences[key] for key in story]
                yield Story(story[0], told, frames, None if labels is None else [row or [] for row in labels])


def read_labels(values: Mapping[str, object], names: Sequence[str], source: Path) -> dict[str, list[int]]:
    """key -> K values of 0 and 1, from arrays, lists or tuples of numbers; StoryganError where one is anything else."""
    labels = {}
    for key, value in values.items():
        row = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(row, list | tuple) or len(row) != len(names) or not all(map(_is_bit, row)):
            raise StoryganError(
                f"{source}: the labels of {key!r} must be {len(names)} values of 0 and 1: fetch it again"
            )
        labels[key] = [int(bit) for bit in row]
    return labels


def _is_bit(value: object) -> bool:
    return isinstance(value, Number) and value in (0, 1)  # an array has no truth value
