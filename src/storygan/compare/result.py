"""The result of a comparison, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from storygan.evaluation.baselines import METHODS
from storygan.evaluation.bootstrap import Estimate, PerStory, paired_difference
from storygan.evaluation.measure import Metrics


def differences(per_story: Mapping[str, Mapping[str, PerStory]], seed: int) -> dict[str, Metrics]:
    """Return the metrics of the first run minus those of each other run.

    Args:
        per_story: by run and metric, values of the same N stories; larger is better.
        seed: of the bootstrap.

    Returns:
        By other run and metric: the difference with its 95% interval.
    """
    first, *others = per_story
    return {
        other: {
            name: paired_difference(value, per_story[other][name], seed) for name, value in per_story[first].items()
        }
        for other in others
    }


def verdict(difference: Estimate) -> str:
    """Return whether a difference's interval excludes 0, and on which side."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"


class Table(NamedTuple):
    """A titled table; the first row is the header."""

    title: str
    cells: list[list[str]]


@dataclass(frozen=True)
class Training:
    """Training statistics of a run."""

    iterations: int
    adversarial: int
    """Iterations in which a discriminator trains the generator."""
    minutes: float
    """Wall clock of all rounds."""
    seconds_per_iteration: float
    """Seconds per iteration in the median round."""
    parameters: int
    """Parameters of the generator: story encoder, context encoder, image generator."""


@dataclass(frozen=True)
class Comparison:
    """Runs after the same budget, evaluated on the same stories."""

    budget: str
    config: dict[str, Any]
    """Fields that all runs share, by dotted name; without `run`."""
    differing_fields: dict[str, dict[str, Any]]
    """By run, the fields in which the runs differ."""
    trained: dict[str, Training]
    """By run."""
    metrics: dict[str, Metrics]
    """By baseline and run, then by name."""
    differences: dict[str, Metrics]
    """By run except the first: how much better the first is. Empty where no classifier knows these stories."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of compare.json."""
        return {
            "budget": self.budget,
            "config": self.config,
            "differing_fields": self.differing_fields,
            "trained": {name: asdict(trained) for name, trained in self.trained.items()},
            "metrics": _plain(self.metrics),
            "differences": _plain(self.differences),
            "notes": self.notes,
        }

    @property
    def title(self) -> str:
        """The heading of the page."""
        first, *others = self.trained
        return f"{first} against {', '.join(others)}" if others else first

    def tables(self) -> list[Table]:
        """Return the tables: differing fields, training, metrics, differences, shared fields."""
        first = next(iter(self.trained))
        training = [["", "iterations", "adversarial", "minutes", "seconds per iteration", "parameters"]]
        for name, run in self.trained.items():
            counts = (f"{n:,}" for n in (run.iterations, run.adversarial))
            training.append(
                [name, *counts, f"{run.minutes:.1f}", f"{run.seconds_per_iteration:.3f}", f"{run.parameters:,}"]
            )
        differing = [["", "differs in"]]
        for name, fields in self.differing_fields.items():
            if fields:
                differing.append([name, ", ".join(f"{field} {value}" for field, value in fields.items())])
        tables = [Table("Runs", differing)] if len(differing) > 1 else []
        tables += [Table(f"Training: {self.budget}", training), _table("Metrics", self.metrics, METHODS, str)]
        if self.differences:
            names = {other: f"{first} - {other}" for other in self.differences}
            tables.append(_table(f"Is {first} better?", self.differences, names, _difference))
        common = [["field", "value"], *([name, str(value)] for name, value in self.config.items())]
        return [*tables, Table("Fields that all runs share", common)]

    def markdown(self, curves: str) -> str:
        """Return tables and notes as Markdown, with the image file `curves`."""
        parts = [f"# {self.title}"]
        parts += [f"## {table.title}\n\n{markdown_table(table.cells)}" for table in self.tables()]
        parts += [f"## Training curves\n\n![training curves]({curves})"]
        parts += ["## How it was measured\n\n" + "\n".join(f"- {note}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """Format cells without `|` as a Markdown table, the first row as its header."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines)


def _table(title: str, methods: dict[str, Metrics], names: dict[str, str], cell: Any) -> Table:
    """Return a table with one line per metric and one column per method."""
    metrics = list(dict.fromkeys(metric for found in methods.values() for metric in found))
    cells = [["", *(names.get(method, method) for method in methods)]]
    for metric in metrics:
        values = [found.get(metric) for found in methods.values()]
        cells.append([metric, *("-" if value is None else cell(value) for value in values)])
    return Table(title, cells)


def _difference(value: Estimate) -> str:
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f}): {verdict(value)}"


def _plain(methods: dict[str, Metrics]) -> dict[str, Any]:
    return {
        method: {name: value.to_dict() for name, value in found.items() if value} for method, found in methods.items()
    }
