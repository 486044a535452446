"""Tiny trainings: command line arguments of the recipe `tiny.yaml`."""

from __future__ import annotations

from pathlib import Path

TINY = Path(__file__).with_name("tiny.yaml")
ENDS = {"aux-classifier": 3, "reconstruction": 5, "discriminators": 7, "adversarial": 9}
"""The last iteration of each stage."""
ITERATIONS = ENDS["adversarial"]


def new_run(data: Path, run: Path, **changes: object) -> list[str]:
    """Return the arguments of `storygan train` for labelled stories of one frame; `changes`: fields by dotted name."""
    fields = {"data.path": data, "run": run} | changes
    return ["train", str(TINY), *(f"--{name}={value}" for name, value in fields.items())]


def one_stage(iterations: int = 2, batch_size: int = 2, lr: float = 1e-3) -> dict[str, object]:
    """Return changes for `new_run`: one stage that trains the generator."""
    stage = f"{{iterations: {iterations}, batch_size: {batch_size}, G: {{lr: {lr}, loss: {{mse: 1}}}}}}"
    return {"stages": f"{{only: {stage}}}"}
