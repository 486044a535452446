"""What a comparison found: as tables for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from storygan.evaluation.baselines import METHODS
from storygan.evaluation.bootstrap import Estimate, PerStory, paired_difference
from storygan.evaluation.measure import Metrics


def differences(read: Mapping[str, Mapping[str, PerStory]], seed: int) -> dict[str, Metrics]:
    """The first contender's metrics minus each other's.

    Args:
        read: by contender, by metric, of the same N stories; all are better when larger.
        seed: of the bootstrap.

    Returns:
        By other contender, by metric: the difference with its 95% interval.
    """
    first, *others = read
    return {
        other: {name: paired_difference(value, read[other][name], seed) for name, value in read[first].items()}
        for other in others
    }


def verdict(difference: Estimate) -> str:
    """What a difference's interval allows to say."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"


class Table(NamedTuple):
    """A titled table; the first row is the header."""

    title: str
    cells: list[list[str]]


@dataclass(frozen=True)
class Trained:
    """What a contender's training was."""

    iterations: int
    adversarial: int
    """Those of them in which the discriminators teach the generator."""
    minutes: float
    """Wall clock, over all sittings."""
    pace: float
    """Seconds an iteration, of the median turn."""
    parameters: int
    """Of what draws: story encoder, context encoder, image generator."""


@dataclass(frozen=True)
class Comparison:
    """The contenders after the same budget, measured on the same stories."""

    budget: str
    config: dict[str, Any]
    """What the contenders share, by dotted name; without `run`."""
    own: dict[str, dict[str, Any]]
    """By contender, the fields in which they are not all alike."""
    trained: dict[str, Trained]
    """By contender."""
    rows: dict[str, Metrics]
    """By row of the evaluation, then by contender; by metric."""
    differences: dict[str, Metrics]
    """By contender but the first: how much better the first is. Empty where no classifier reads these stories, neither
    their places nor their labels."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds."""
        return {
            "budget": self.budget,
            "config": self.config,
            "own": self.own,
            "trained": {name: asdict(trained) for name, trained in self.trained.items()},
            "rows": _plain(self.rows),
            "differences": _plain(self.differences),
            "notes": self.notes,
        }

    @property
    def title(self) -> str:
        """Its heading."""
        first, *others = self.trained
        return f"{first} against {', '.join(others)}" if others else first

    def tables(self) -> list[Table]:
        """Contenders, training, metrics, differences, and what the contenders share."""
        first = next(iter(self.trained))
        training = [["", "iterations", "adversarial", "minutes", "seconds an iteration", "parameters"]]
        for name, run in self.trained.items():
            counts = (f"{n:,}" for n in (run.iterations, run.adversarial))
            training.append([name, *counts, f"{run.minutes:.1f}", f"{run.pace:.3f}", f"{run.parameters:,}"])
        differ = [["", "differs in"], *([name, _fields(own)] for name, own in self.own.items() if own)]
        tables = [Table("Contenders", differ)] if len(differ) > 1 else []
        tables += [Table(f"Training: {self.budget}", training), _table("Metrics", self.rows, METHODS, str)]
        if self.differences:
            names = {other: f"{first} - {other}" for other in self.differences}
            tables.append(_table(f"Is {first} better?", self.differences, names, _difference))
        common = [["field", "value"], *([name, str(value)] for name, value in self.config.items())]
        return [*tables, Table("What all contenders share", common)]

    def markdown(self, curves: str) -> str:
        """The tables and notes, with the picture `curves` (a file name)."""
        parts = [f"# {self.title}"]
        parts += [f"## {table.title}\n\n{markdown_table(table.cells)}" for table in self.tables()]
        parts += [f"## Training curves\n\n![training curves]({curves})"]
        parts += ["## How it was measured\n\n" + "\n".join(f"- {note}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """Cells without a `|` -> a Markdown table whose first row is the header, numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines)


def _table(title: str, rows: dict[str, Metrics], names: dict[str, str], cell: Any) -> Table:
    """A line a metric, a column a row."""
    metrics = list(dict.fromkeys(metric for line in rows.values() for metric in line))
    cells = [["", *(names.get(row, row) for row in rows)]]
    for metric in metrics:
        values = [line.get(metric) for line in rows.values()]
        cells.append([metric, *("-" if value is None else cell(value) for value in values)])
    return Table(title, cells)


def _fields(own: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in own.items())


def _difference(value: Estimate) -> str:
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f}): {verdict(value)}"


def _plain(rows: dict[str, Metrics]) -> dict[str, Any]:
    return {row: {name: value.to_dict() for name, value in line.items() if value} for row, line in rows.items()}
