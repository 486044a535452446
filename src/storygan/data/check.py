"""Validate a data set row by row, and describe it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from storygan.data.images import decode_frame, decode_mask
from storygan.data.schema import NO_NUISANCE, Metadata, NuisanceColumns, read_metadata, read_rows, shard_paths, splits
from storygan.errors import StoryganError, printable
from storygan.progress import tqdm

MAX_PROBLEMS_SHOWN = 20
_NUMBERING = re.compile(r"(\d+)-of-(\d+)$", re.ASCII)


@dataclass
class SplitReport:
    """The contents of a split."""

    stories: int = 0
    frames: int = 0
    shards: int = 0
    bytes: int = 0  # of the shards on disk
    words: Counter[int] = field(default_factory=Counter)  # words in a sentence -> number of sentences
    labels: Counter[str] = field(default_factory=Counter)  # label -> number of frames

    def to_dict(self) -> dict[str, object]:
        """Return numbers only: word counts as min, mean and max, labels as a share of the frames."""
        words = None
        if self.words:
            mean = sum(count * n for count, n in self.words.items()) / self.words.total()
            words = {"min": min(self.words), "mean": mean, "max": max(self.words)}
        labels = {name: count / self.frames for name, count in self.labels.items()} if self.frames else {}
        own = {"stories": self.stories, "frames": self.frames, "shards": self.shards, "bytes": self.bytes}
        return {**own, "words": words, "labels": labels}

    def __str__(self) -> str:
        values: dict = self.to_dict()
        lines = [f"{self.stories} stories, {self.frames} frames, {self.shards} shards, {self.bytes / 1e6:.1f} MB"]
        if words := values["words"]:
            lines.append(f"words per sentence: {words['min']} to {words['max']}, mean {words['mean']:.1f}")
        if labels := values["labels"]:
            shares = ", ".join(f"{name} {share:.2f}" for name, share in labels.items())
            lines.append(f"share of frames with a label: {printable(shares)}")
        return "\n    ".join(lines)


@dataclass
class DatasetReport:
    """The contents of a data set and its problems; it is valid where `problems` is empty."""

    folder: str
    T: int | None = None  # frames per story
    size: tuple[int, int] | None = None  # width and height of a frame, pixels
    aspect_ratio: float = 1.0  # width by height at which to display a frame
    nuisance: NuisanceColumns = NO_NUISANCE  # of the first readable shard
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)  # one line each: file, row, problem

    def to_dict(self) -> dict[str, object]:
        """Return the report for `--json`."""
        return {**asdict(self), "splits": {name: split.to_dict() for name, split in self.splits.items()}}

    def __str__(self) -> str:
        size = "of unknown size" if self.size is None else f"of {self.size[0]}x{self.size[1]} pixels"
        lines = [f"{self.folder}: stories of {self.T or '?'} frames {size}, aspect ratio {self.aspect_ratio:.3g}"]
        lines += [f"  nuisance: {self.nuisance}"] if self.nuisance != NO_NUISANCE else []
        lines += [f"  {name}: {split}" for name, split in self.splits.items()]
        lines += [f"  {len(self.problems)} problems" if self.problems else "  no problems"]
        lines += [f"    {printable(problem, 500)}" for problem in self.problems[:MAX_PROBLEMS_SHOWN]]
        if len(self.problems) > MAX_PROBLEMS_SHOWN:
            lines.append(f"    and {len(self.problems) - MAX_PROBLEMS_SHOWN} more")
        return "\n".join(lines)


def check_dataset(folder: str | Path) -> DatasetReport:
    """Read every row of every split and decode every frame. Raises StoryganError where FOLDER has no shards."""
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
    """The state of one check: where each id occurred, and the T and size of each story, compared at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = DatasetReport(str(folder))
        self.ids: dict[str, str] = {}  # story id -> where it occurred
        self.lengths: list[tuple[str, int]] = []  # where, T
        self.sizes: list[tuple[str, tuple[int, int]]] = []  # where, (width, height)
        self.metadata: dict[str, tuple[object, str]] = {}  # field of Metadata -> value, the first file that has it

    def problem(self, where: str, problem: str) -> None:
        self.report.problems.append(f"{where}: {problem}")

    def split(self, split: str) -> None:
        paths = shard_paths(self.folder, split)
        report = self.report.splits[split] = SplitReport(shards=len(paths))
        self._numbering(split, paths)
        for path in tqdm(paths, unit="shard", desc=f"checking {split}"):
            report.bytes += path.stat().st_size
            file = str(path.relative_to(self.folder))
            try:
                metadata = read_metadata(path)
                self._metadata(file, metadata)
                report.labels.update(dict.fromkeys(metadata.label_names or (), 0))
                for number, row in enumerate(read_rows(path)):
                    for problem in self._row(f"{file} row {number}", row, metadata, report):
                        self.problem(f"{file} row {number}", problem)
            except StoryganError as error:
                self.report.problems.append(str(error))
        if not report.stories:
            self.problem(split, "the split has no story")

    def _numbering(self, split: str, paths: list[Path]) -> None:
        numbers = [(int(match[1]), int(match[2])) for path in paths if (match := _NUMBERING.search(path.stem))]
        counts = sorted({count for _, count in numbers})
        if len(counts) > 1:
            self.problem(split, f"shards of several counts ({', '.join(map(str, counts))}): remove the old ones")
        elif counts and (missing := sorted(set(range(counts[0])) - {index for index, _ in numbers})):
            self.problem(split, f"{len(missing)} of {counts[0]} shards are missing, the first is {missing[0]:05d}")

    def _metadata(self, file: str, metadata: Metadata) -> None:
        """Compare a shard's metadata with that of the first shard."""
        if not self.metadata:
            self.report.nuisance, self.report.aspect_ratio = metadata.nuisance, metadata.aspect_ratio
        for name, value in vars(metadata).items():
            first, where = self.metadata.setdefault(name, (value, file))
            if value != first:
                action = f": run `storygan data add-nuisance {self.folder}`" if name == "nuisance" else ""
                self.problem(file, f"differs from {where} in {name.replace('_', ' ')}{action}")

    def _row(self, where: str, row: dict, metadata: Metadata, report: SplitReport) -> Iterator[str]:
        """Yield the problems of a row, and count it in the report."""
        story_id, sentences, frames = row["story_id"], row["sentences"] or [], row["frames"] or []
        report.stories += 1
        report.frames += len(frames)
        if not story_id:
            yield "no story id"
        elif story_id in self.ids:
            yield f"the story id {story_id!r} also occurs in {self.ids[story_id]}"
        else:
            self.ids[story_id] = where
        if len(sentences) != len(frames):
            yield f"{len(sentences)} sentences but {len(frames)} frames"
        else:
            self.lengths.append((where, len(frames)))
        for k, sentence in enumerate(sentences, start=1):
            if not sentence or not sentence.strip():
                yield f"sentence {k} is empty"
            else:
                report.words[len(sentence.split())] += 1
        yield from self._images(where, row, len(frames))
        yield from _labels(row.get("labels"), len(frames), metadata.label_names, report)
        yield from _nuisance(row, metadata.nuisance, len(sentences))

    def _images(self, where: str, row: dict, T: int) -> Iterator[str]:
        """Yield the problems of frames and foreground masks."""
        masks = row.get("foreground") or []
        if "foreground" in row and len(masks) != T:
            yield f"{len(masks)} foreground masks but {T} frames"
            masks = []
        for k, frame in enumerate(row["frames"] or [], start=1):
            try:
                height, width, _ = decode_frame((frame or {}).get("bytes") or b"").shape
            except ValueError as error:
                yield f"frame {k}: {error}"
                continue
            self.sizes.append((f"{where} frame {k}", (width, height)))
            if masks:
                try:
                    shape = decode_mask((masks[k - 1] or {}).get("bytes") or b"").shape
                    if shape != (height, width):
                        raise ValueError(f"{shape[1]}x{shape[0]} pixels, the frame has {width}x{height}")
                except ValueError as error:
                    yield f"foreground mask {k}: {error}"

    def compare_shapes(self) -> None:
        """Report stories with another T, and frames with another size, than the most frequent one."""
        if self.lengths:
            self.report.T = T = Counter(t for _, t in self.lengths).most_common(1)[0][0]
            for where, t in self.lengths:
                if t != T:
                    self.problem(where, f"{t} frames, most stories have {T}")
        if self.sizes:
            self.report.size = W, H = Counter(size for _, size in self.sizes).most_common(1)[0][0]
            for where, (width, height) in self.sizes:
                if (width, height) != (W, H):
                    self.problem(where, f"{width}x{height} pixels, most frames have {W}x{H}")


def _labels(labels: list | None, T: int, names: tuple[str, ...] | None, report: SplitReport) -> Iterator[str]:
    """Yield the problems of a story's labels, and count valid ones in the report."""
    if names is None:
        return
    if labels is None:
        yield "no labels"
    elif [len(row or []) for row in labels] != [len(names)] * T:
        yield f"labels must be {T} rows of {len(names)}"
    elif any(bit not in (0, 1) for row in labels for bit in row):
        yield "labels must be 0 or 1"
    else:
        for row in labels:
            report.labels.update(name for name, bit in zip(names, row, strict=True) if bit)


def _nuisance(row: dict, nuisance: NuisanceColumns, T: int) -> Iterator[str]:
    """Yield the problems of story_nuisance and frame_nuisance."""
    story, frame = row.get("story_nuisance") or [], row.get("frame_nuisance") or []
    if nuisance.story is not None:
        if len(story) != len(nuisance.story):
            yield f"story_nuisance must be {len(nuisance.story)} values, it has {len(story)}"
        elif any(value is None or not math.isfinite(value) for value in story):
            yield "story_nuisance must be finite numbers"
    if nuisance.frame is not None:
        if [len(values or []) for values in frame] != [len(nuisance.frame)] * T:
            yield f"frame_nuisance must be {T} rows of {len(nuisance.frame)}"
        elif any(value is not None and not math.isfinite(value) for values in frame for value in values):
            yield "frame_nuisance must be finite numbers or null"
