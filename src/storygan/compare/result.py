"""The result of a comparison, as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from storygan.evaluation.baselines import METHODS
from storygan.evaluation.bootstrap import Metrics
from storygan.evaluation.tables import Table, differences_table, markdown_table, metrics_table, to_plain


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
    """By baseline and configuration, then by name."""
    runs: dict[str, Metrics]
    """Likewise by run; empty where each configuration is one run."""
    differences: dict[str, Metrics]
    """By configuration except the first: the first minus it. Empty where no classifier knows these stories."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of compare.json."""
        return {
            "budget": self.budget,
            "config": self.config,
            "differing_fields": self.differing_fields,
            "trained": {name: asdict(trained) for name, trained in self.trained.items()},
            "metrics": to_plain(self.metrics),
            "runs": to_plain(self.runs),
            "differences": to_plain(self.differences),
            "notes": self.notes,
        }

    @property
    def title(self) -> str:
        """The heading of the page."""
        first, *others = (name for name in self.metrics if name not in METHODS)
        return f"{first} against {', '.join(others)}" if others else first

    def tables(self) -> list[Table]:
        """Return the tables: differing fields, training, metrics, differences, shared fields."""
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
        tables += [Table(f"Training: {self.budget}", training), metrics_table("Metrics", self.metrics, METHODS)]
        if self.differences:
            first = next(name for name in self.metrics if name not in METHODS)
            tables.append(differences_table(f"Is {first} better?", first, self.differences))
        if self.runs:
            tables.append(metrics_table("Metrics of each run", self.runs, {}))
        common = [["field", "value"], *([name, str(value)] for name, value in self.config.items())]
        return [*tables, Table("Fields that all runs share", common)]

    def markdown(self, curves: str) -> str:
        """Return tables and notes as Markdown, with the image file `curves`."""
        parts = [f"# {self.title}"]
        parts += [f"## {table.title}\n\n{markdown_table(table.cells)}" for table in self.tables()]
        parts += [f"## Training curves\n\n![training curves]({curves})"]
        parts += ["## How it was measured\n\n" + "\n".join(f"- {note}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"
