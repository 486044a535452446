"""What every importer hands back: what was read, what was skipped and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from storygan.types import printable


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
