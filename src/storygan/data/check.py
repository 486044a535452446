"""Validates a dataset row by row and describes it."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from tqdm import tqdm

from storygan.data.images import decode_frame, decode_mask
from storygan.data.schema import (
    NO_NUISANCE,
    NuisanceColumns,
    label_names,
    nuisance_columns,
    read_rows,
    shard_paths,
    splits,
)
from storygan.errors import StoryganError, printable

MAX_PROBLEMS_SHOWN = 20
_OF = re.compile(r"(\d+)-of-(\d+)$", re.ASCII)


@dataclass
class SplitReport:
    """What a split holds."""

    stories: int = 0
    frames: int = 0
    shards: int = 0
    bytes: int = 0  # of the shards on disk
    words: Counter[int] = field(default_factory=Counter)  # words of a sentence -> sentences
    labels: Counter[str] = field(default_factory=Counter)  # label -> frames that show it

    def to_dict(self) -> dict[str, object]:
        """Numbers only: word counts as min, mean and max, labels as a share of the frames."""
        counts = sorted(self.words.elements())
        words = {"min": counts[0], "mean": sum(counts) / len(counts), "max": counts[-1]} if counts else None
        labels = {name: count / self.frames for name, count in self.labels.items()} if self.frames else {}
        own = {"stories": self.stories, "frames": self.frames, "shards": self.shards, "bytes": self.bytes}
        return {**own, "words": words, "labels": labels}

    def __str__(self) -> str:
        lines = [f"{self.stories} stories, {self.frames} frames, {self.shards} shards, {self.bytes / 1e6:.1f} MB"]
        if self.words:
            mean = sum(count * n for count, n in self.words.items()) / self.words.total()
            lines.append(f"words of a sentence: {min(self.words)} to {max(self.words)}, {mean:.1f} on average")
        if self.labels and self.frames:
            shares = ", ".join(f"{name} {count / self.frames:.2f}" for name, count in self.labels.items())
            lines.append(f"share of frames with a label: {printable(shares)}")
        return "\n    ".join(lines)


@dataclass
class DatasetReport:
    """What a dataset holds and what is wrong with it; it is sound where `problems` is empty."""

    folder: str
    T: int | None = None  # frames of a story
    size: tuple[int, int] | None = None  # width and height of a frame, pixels
    nuisance: NuisanceColumns = NO_NUISANCE  # of the first shard that can be read
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)  # one line each: file, row, what

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {**asdict(self), "splits": {name: split.to_dict() for name, split in self.splits.items()}}

    def __str__(self) -> str:
        size = "frames of unknown size" if self.size is None else f"frames of {self.size[0]}x{self.size[1]} pixels"
        lines = [f"{self.folder}: stories of {self.T or '?'} {size}"]
        lines += [f"  nuisance: {self.nuisance}"] if self.nuisance != NO_NUISANCE else []
        lines += [f"  {name}: {split}" for name, split in self.splits.items()]
        lines += [f"  {len(self.problems)} problems" if self.problems else "  no problems"]
        lines += [f"    {printable(problem, 500)}" for problem in self.problems[:MAX_PROBLEMS_SHOWN]]
        if len(self.problems) > MAX_PROBLEMS_SHOWN:
            lines.append(f"    and {len(self.problems) - MAX_PROBLEMS_SHOWN} more")
        return "\n".join(lines)


def check_dataset(folder: str | Path) -> DatasetReport:
    """Read every row of every split, decode every frame. StoryganError where FOLDER holds no dataset at all."""
    folder = Path(folder)
    found = splits(folder)
    if not found:
        raise StoryganError(f"{folder} holds no story shards: they are named like train-00000-of-00001.parquet")
    check = _Check(folder)
    for split in found:
        check.split(split)
    check.compare_shapes()
    return check.report


class _Check:
    """The state of one check: where each id was seen, and the T and size of each story, to compare at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = DatasetReport(str(folder))
        self.seen: dict[str, str] = {}  # story id -> where
        self.lengths: list[tuple[str, int]] = []  # where, T
        self.sizes: list[tuple[str, tuple[int, int]]] = []  # where, (width, height)
        self.names: dict[tuple[str, ...] | None, str] = {}  # label names -> the first file that has them
        self.nuisance: dict[NuisanceColumns, str] = {}  # nuisance columns -> the first file that has them

    def problem(self, where: str, what: str) -> None:
        self.report.problems.append(f"{where}: {what}")

    def split(self, split: str) -> None:
        paths = shard_paths(self.folder, split)
        report = self.report.splits[split] = SplitReport(shards=len(paths))
        self._numbering(split, paths)
        with tqdm(total=_rows(paths), unit="story", desc=f"checking {split}", disable=None) as bar:
            for path in paths:
                report.bytes += path.stat().st_size
                self._shard(path, report, bar)
        if not report.stories:
            self.problem(split, "the split has no story")

    def _numbering(self, split: str, paths: list[Path]) -> None:
        numbers = [(int(match[1]), int(match[2])) for path in paths if (match := _OF.search(path.stem))]
        counts = {count for _, count in numbers}
        if len(counts) > 1:
            self.problem(
                split, f"shards of several counts ({', '.join(map(str, sorted(counts)))}): remove the old ones"
            )
        elif counts:
            missing = sorted(set(range(max(counts))) - {index for index, _ in numbers})
            if missing:
                self.problem(
                    split, f"{len(missing)} of {max(counts)} shards are missing, the first is {missing[0]:05d}"
                )

    def _shard(self, path: Path, report: SplitReport, bar: tqdm) -> None:
        file = str(path.relative_to(self.folder))
        try:
            names = label_names(path)
            first = self.names.setdefault(names, file)
            if len(self.names) > 1 and first == file:
                self.problem(file, f"its label names differ from those of {next(iter(self.names.values()))}")
            report.labels.update(dict.fromkeys(names or (), 0))
            nuisance = nuisance_columns(path)
            first = self.nuisance.setdefault(nuisance, file)
            if len(self.nuisance) == 1:
                self.report.nuisance = nuisance
            elif first == file:
                others = next(iter(self.nuisance.values()))
                command = f"storygan data add-nuisance {self.folder}"
                self.problem(file, f"its nuisance columns differ from those of {others}: run `{command}`")
            for row, values in enumerate(read_rows(path)):
                bar.update()
                self._row(f"{file} row {row}", values, names, report)
                self._nuisance(f"{file} row {row}", values, nuisance)
        except StoryganError as error:
            self.report.problems.append(str(error))

    def _row(self, where: str, row: dict, names: tuple[str, ...] | None, report: SplitReport) -> None:
        story_id, sentences, frames = row["story_id"], row["sentences"] or [], row["frames"] or []
        report.stories += 1
        report.frames += len(frames)
        if not story_id:
            self.problem(where, "no story id")
        elif story_id in self.seen:
            self.problem(where, f"the story id {story_id!r} was seen in {self.seen[story_id]}")
        else:
            self.seen[story_id] = where
        if len(sentences) != len(frames):
            self.problem(where, f"{len(sentences)} sentences but {len(frames)} frames")
        else:
            self.lengths.append((where, len(frames)))
        for k, sentence in enumerate(sentences, start=1):
            if not sentence or not sentence.strip():
                self.problem(where, f"sentence {k} is empty")
            else:
                report.words[len(sentence.split())] += 1
        masks = row.get("foreground") or []
        if "foreground" in row and len(masks) != len(frames):
            self.problem(where, f"{len(masks)} foreground masks but {len(frames)} frames")
            masks = []
        for k, frame in enumerate(frames, start=1):
            try:
                height, width, _ = decode_frame((frame or {}).get("bytes") or b"").shape
                self.sizes.append((f"{where} frame {k}", (width, height)))
            except ValueError as error:
                self.problem(where, f"frame {k}: {error}")
                continue
            if masks:
                self._mask(where, k, (masks[k - 1] or {}).get("bytes") or b"", (height, width))
        self._labels(where, row.get("labels"), len(frames), names, report)

    def _mask(self, where: str, k: int, encoded: bytes, size: tuple[int, int]) -> None:
        try:
            height, width = decode_mask(encoded).shape
            if (height, width) != size:
                raise ValueError(f"{width}x{height} pixels, the frame has {size[1]}x{size[0]}")
        except ValueError as error:
            self.problem(where, f"foreground mask {k}: {error}")

    def _nuisance(self, where: str, row: dict, nuisance: NuisanceColumns) -> None:
        """Check story_nuisance and frame_nuisance."""
        story, frame, t = row.get("story_nuisance") or [], row.get("frame_nuisance") or [], len(row["sentences"] or [])
        if nuisance.story is not None:
            if len(story) != len(nuisance.story):
                self.problem(where, f"story_nuisance must be {len(nuisance.story)} values, it has {len(story)}")
            elif any(value is None or not math.isfinite(value) for value in story):
                self.problem(where, "a value of story_nuisance is no finite number")
        if nuisance.frame is not None:
            if [len(values or []) for values in frame] != [len(nuisance.frame)] * t:
                self.problem(where, f"frame_nuisance must be {t} rows of {len(nuisance.frame)}")
            elif any(value is not None and not math.isfinite(value) for values in frame for value in values):
                self.problem(where, "a value of frame_nuisance is neither null nor a finite number")

    def _labels(
        self, where: str, labels: list | None, t: int, names: tuple[str, ...] | None, report: SplitReport
    ) -> None:
        if labels is None and names is None:
            return
        if labels is None or names is None:
            self.problem(where, "no labels" if labels is None else "labels without names in the schema metadata")
        elif [len(bits or []) for bits in labels] != [len(names)] * t:
            self.problem(where, f"labels must be {t} rows of {len(names)}")
        elif any(bit not in (0, 1) for bits in labels for bit in bits):
            self.problem(where, "labels must be 0 or 1")
        else:
            for bits in labels:
                report.labels.update(name for name, bit in zip(names, bits, strict=True) if bit)

    def compare_shapes(self) -> None:
        """Name the stories whose T, and the frames whose size, is not that of most."""
        if self.lengths:
            self.report.T = Counter(t for _, t in self.lengths).most_common(1)[0][0]
        if self.sizes:
            self.report.size = Counter(size for _, size in self.sizes).most_common(1)[0][0]
        for where, t in self.lengths:
            if t != self.report.T:
                self.problem(where, f"{t} frames, most stories have {self.report.T}")
        for where, size in self.sizes:
            if size != self.report.size and self.report.size is not None:
                self.problem(
                    where, f"{size[0]}x{size[1]} pixels, most have {self.report.size[0]}x{self.report.size[1]}"
                )


def _rows(paths: list[Path]) -> int | None:
    """How many rows the shards announce, for the progress bar; None where one cannot be read."""
    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (OSError, ValueError, KeyError):  # Arrow's errors are some of these
        return None
