"""`storygan compare`: train several variants with one budget, measure them, write the tables and the page.

One configuration serves all variants, so that they cannot differ in anything but `model.variant`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from storygan.compare.curves import draw_curves, read_curves
from storygan.compare.differences import differences
from storygan.compare.page import make_page
from storygan.compare.result import Comparison, Trained
from storygan.compare.turns import Run, train_in_turns
from storygan.config import VARIANTS, TrainConfig
from storygan.data.dataset import StoryDataset, open_split
from storygan.evaluation.report import Report, draw, evaluate
from storygan.evaluation.rows import MODEL, ROWS
from storygan.files import write_whole
from storygan.models.recognizer import SHIPPED, Recognizer
from storygan.models.storygan import StoryGAN
from storygan.training.loop import check_fit
from storygan.types import StoryganError, UsageError

NAME = "compare"
"""OUT/compare.json, .md, .html, .svg."""


def compare(
    config: TrainConfig,
    out: str | Path,
    variants: Sequence[str] = VARIANTS,
    minutes: float = 0.0,
    split: str = "test",
    shown: int = 8,
    recognizer: str | Path = SHIPPED,
) -> Comparison:
    """Train each variant in OUT/VARIANT, evaluate all, write OUT/compare.json, .md, .html and .svg.

    The same call goes on where a killed one was; with a larger budget it goes on from there.

    Args:
        config: what the variants share; its `run`, `model.variant` and `keep_checkpoints` are set here.
        out: folder of the comparison.
        variants: which; the others are compared with the first.
        minutes: of training for each variant, wall clock over all sittings; 0: `config.iterations` is the budget.
        split: what they are measured on.
        shown: stories on the page, the first ones of the split.
        recognizer: folder of the recognizer that measures.

    Raises:
        UsageError: the call, the configuration and the data do not fit together.
        StoryganError: a file cannot be read, or training fails.
    """
    if minutes < 0 or shown < 1:
        raise UsageError(f"--minutes {minutes:g}, --shown {shown}: give minutes of 0 or more, and 1 story or more")
    if not variants or len(set(variants)) < len(variants):
        raise UsageError(f"--variants {' '.join(variants)}: name each variant once")
    out = Path(out)
    configs = [  # an unknown variant raises here
        replace(
            config,
            run=str(out / variant),
            model=replace(config.model, variant=variant),  # type: ignore[arg-type]
            keep_checkpoints=2,
        )
        for variant in variants
    ]
    check_fit(config, open_split(config.data.path, config.data.split))
    test = open_split(config.data.path, split)
    if test.T != config.model.T or len(test) < 2:
        raise UsageError(f"the split {split} needs at least 2 stories of {config.model.T} sentences")
    Recognizer.load(recognizer)
    with alone(out):
        runs = {str(each.model.variant): Run(each) for each in configs}
        train_in_turns(list(runs.values()), minutes)
        budget = f"{minutes:g} minutes each" if minutes else f"{config.iterations:,} iterations each"
        comparison, drawn = measure(runs, budget, test, split, recognizer)
        curves = draw_curves({variant: read_curves(run.path / "metrics.jsonl") for variant, run in runs.items()})
        drawings = {ROWS["real_frames"]: test.batch(range(min(shown, len(test)))), **drawn}
        page = make_page(comparison, test.sentences[:shown], drawings, curves)
        write_whole(out / f"{NAME}.json", json.dumps(comparison.to_dict(), indent=1) + "\n")
        write_whole(out / f"{NAME}.md", comparison.markdown(f"{NAME}.svg"))
        write_whole(out / f"{NAME}.svg", curves + "\n")
        write_whole(out / f"{NAME}.html", page)
    return comparison


def measure(
    runs: dict[str, Run], budget: str, test: StoryDataset, split: str, recognizer: str | Path
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Evaluate the runs' models on the split `test`: the comparison, and by variant all drawings (N, T, H, W, 3)."""
    config = next(iter(runs.values())).config
    models = {variant: StoryGAN.from_pretrained(run.path / "model") for variant, run in runs.items()}
    drawn = {variant: draw(model, test.sentences, config.seed) for variant, model in models.items()}
    reports = {
        variant: evaluate(str(run.path / "model"), config.data.path, split, 0, config.seed, recognizer)
        for variant, run in runs.items()
    }
    first = next(iter(reports.values()))
    told = test.sentences if "object_accuracy" in first.rows[MODEL] else None
    rows = {row: line for row, line in first.rows.items() if row != MODEL}
    comparison = Comparison(
        budget=budget,
        config=shared(config),
        trained={
            variant: Trained(run.iterations, run.seconds / 60, size(models[variant])) for variant, run in runs.items()
        },
        rows=rows | {variant: report.rows[MODEL] for variant, report in reports.items()},
        differences=differences(drawn, told, Recognizer.load(recognizer), config.seed) if told else {},
        notes=notes(first, config.seed, paired=bool(told)),
    )
    return comparison, drawn


def shared(config: TrainConfig) -> dict[str, Any]:
    """What all variants have in common."""
    values = config.to_dict()
    for name in ("run", "iterations", "keep_checkpoints"):
        del values[name]
    del values["model"]["variant"]
    return values


def size(model: StoryGAN) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def notes(report: Report, seed: int, paired: bool) -> list[str]:
    """How it was measured, for people."""
    of_differences = "differences: paired story by story; better or worse where the interval is on one side of 0"
    return [
        f"{report.stories} stories of {report.data}, split {report.split}; training, noise, bootstrap: seed {seed}",
        "every variant: the same stories in the same order, the same noise, the same configuration",
        "minutes: wall clock, in turns, so that what else the machine did hit all alike",
        "each variant was trained once: the intervals are over stories, not over training seeds",
        *report.notes[1:],
        *([of_differences] if paired else []),
        "the config.yaml of each run is complete: storygan train makes the same model of it, with a new --run",
    ]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the folder and hold it. Raises StoryganError where another process does."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise StoryganError(f"another comparison is at work in {out}") from None
