"""`storygan compare`: train several configurations with one budget, measure them, write the tables and the page.

The contenders are the paper's variants of one configuration, or any others; the tables say in what they differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from storygan.compare.page import draw_curves, make_page, read_curves
from storygan.compare.result import Comparison, Trained, differences
from storygan.compare.round_robin import Run, train_round_robin
from storygan.config import TrainConfig, leaves
from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.baselines import ROWS
from storygan.evaluation.labelled_frames import find_classifier, labelled_frames_if_any
from storygan.evaluation.measure import VARIETY_NOTE, draw, measure, noise_use
from storygan.files import atomic_write, parse_json, read_text
from storygan.models.folding import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.training.loop import check_fit
from storygan.training.run_folder import METRICS

NAME = "compare"
"""OUT/compare.json, .md, .html, .svg."""
NOTES = (
    "all contenders: the same stories in the same order, and what is not named above is alike",
    "adversarial: iterations in which the discriminators teach the generator",
    "minutes: wall clock, in turns, with all else that the machine did; seconds an iteration: of the median turn",
    "each was trained once: the intervals are over stories, not over training seeds",
    "differences, where a classifier reads the stories: both contenders resampled together, story by story; better or "
    "worse where the interval is on one side of 0",
    "the config.yaml of each run is complete: storygan train makes the same model of it, with a new --run",
)


def of_variants(config: TrainConfig, variants: Sequence[str]) -> dict[str, TrainConfig]:
    """One configuration, once for each variant. UsageError on an unknown one."""
    if len(set(variants)) < len(variants):
        raise UsageError(f"--variants {' '.join(variants)}: name each variant once")
    return {v: replace(config, model=replace(config.model, variant=v)) for v in variants}  # type: ignore[arg-type]


def compare(
    contenders: Mapping[str, TrainConfig],
    out: str | Path,
    minutes: float = 0.0,
    split: str = "test",
    shown: int = 8,
    classifier: str | Path | None = None,
    command: str = "",
) -> Comparison:
    """Train each contender in OUT/NAME, evaluate all, write OUT/compare.json, .md, .html and .svg.

    The same call goes on where a killed one was; with a larger budget it goes on from there.

    Args:
        contenders: by name; the others are compared with the first. Their `run` and `keep_checkpoints` are set here.
        out: folder of the comparison.
        minutes: of training for each contender, wall clock over all sittings; 0: `iterations` of each is the budget.
        split: what they are measured on.
        shown: stories on the page, the first ones of the split.
        classifier: folder of the classifier that measures; else a shipped one that knows the data.
        command: how it was called, for the notes.

    Raises:
        UsageError: the call, the configurations and the data do not fit together; the folder has a comparison of
            others.
        StoryganError: a file cannot be read, or training fails.
    """
    if minutes < 0 or shown < 1:
        raise UsageError(f"--minutes {minutes:g}, --shown {shown}: give minutes of 0 or more, and 1 story or more")
    if not contenders:
        raise UsageError("nothing to compare: name at least one contender")
    for name in contenders:
        require_name(name)
    if not minutes and len({config.iterations for config in contenders.values()}) > 1:
        raise UsageError("the contenders have not the same budget: give all the same stages, or --minutes")
    out = Path(out)
    configs = {name: replace(config, run=str(out / name), keep_checkpoints=2) for name, config in contenders.items()}
    config = next(iter(configs.values()))
    if any((each.data, each.model.T) != (config.data, config.model.T) for each in configs.values()):
        raise UsageError("the contenders are not trained on the same data: give all the same `data` and `model.T`")
    dataset = open_split(config.data.path, config.data.split)
    for each in configs.values():
        check_fit(each, dataset)
    test = open_split(config.data.path, split)
    if test.T != config.model.T or len(test) < 2:
        raise UsageError(f"the split {split} needs at least 2 stories of {config.model.T} sentences")
    find_classifier(labelled_frames_if_any(test), classifier)
    with alone(out):
        if left_out := sorted(compared(out) - set(configs)):
            raise UsageError(f"{out} has a comparison with {', '.join(left_out)} too: name all, or give another --out")
        runs = {name: Run(each) for name, each in configs.items()}
        if past := [name for name, run in runs.items() if run.exceeds(minutes)]:
            raise UsageError(f"{', '.join(past)} had more than {minutes:g} minutes already: give more")
        train_round_robin(list(runs.values()), minutes)
        budget = f"{minutes:g} minutes each" if minutes else f"{config.iterations:,} iterations each"
        comparison, drawn = judged(runs, budget, test, split, classifier)
        if command:
            comparison = replace(comparison, notes=[f"made by: {command}", *comparison.notes])
        curves = draw_curves({name: read_curves(run.path / METRICS) for name, run in runs.items()})
        drawings = {ROWS["real_frames"]: test.batch(range(min(shown, len(test)))), **drawn}
        aspect_ratio = getattr(test, "aspect_ratio", 1.0)
        page = make_page(comparison, test.sentences[:shown], drawings, curves, aspect_ratio)
        atomic_write(out / f"{NAME}.json", json.dumps(comparison.to_dict(), indent=1) + "\n")
        atomic_write(out / f"{NAME}.md", comparison.markdown(f"{NAME}.svg"))
        atomic_write(out / f"{NAME}.svg", curves + "\n")
        atomic_write(out / f"{NAME}.html", page)
    return comparison


def compared(out: Path) -> set[str]:
    """The contenders of the comparison that a folder has; none where its file does not say."""
    try:
        return set(parse_json(read_text(out / f"{NAME}.json"))["trained"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def require_name(name: str) -> None:
    """Raise UsageError where a contender's name is no folder's, or a row's of the tables."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UsageError(f"{name!r} is no name of a contender: use letters, digits, '-', '_' and '.'")
    if name in ROWS:
        raise UsageError(f"{name!r} is a row of the tables already: give the contender another name")


def judged(
    runs: dict[str, Run], budget: str, test: StoryDataset, split: str, classifier: str | Path | None
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Evaluate the runs' models on the split `test`: the comparison, and by contender all drawings (N, T, H, W, 3)."""
    configs = {name: run.config for name, run in runs.items()}
    config = next(iter(configs.values()))
    torch.set_flush_denormal(True)
    models = {name: StoryGAN.from_pretrained(run.path / "model") for name, run in runs.items()}
    folded = {name: fuse_batch_norm(model) for name, model in models.items()}
    drawn = {name: draw(model, test.sentences, config.seed) for name, model in folded.items()}
    found = measure(test, config.data.path, drawn, config.seed, classifier)
    for name, model in folded.items():
        found.lines[name].update(noise_use(model, test.sentences, config.seed))
    read = {name: found.read[name] for name in runs}
    where = f"{len(test)} stories of {Path(config.data.path).name}, split {split}"
    comparison = Comparison(
        budget=budget,
        config=shared(configs),
        own=own(configs),
        trained={
            name: Trained(run.iterations, run.adversarial, run.seconds / 60, run.pace, size(models[name]))
            for name, run in runs.items()
        },
        rows=found.lines,
        differences=differences(read, config.seed) if any(read.values()) else {},
        notes=[f"{where}; training, noise, bootstrap: seed {config.seed}", *NOTES, *found.notes, VARIETY_NOTE],
    )
    return comparison, drawn


def shared(configs: Mapping[str, TrainConfig]) -> dict[str, Any]:
    """What all contenders have in common, by dotted name; without what is set for each."""
    fields = [_fields(config) for config in configs.values()]
    return {name: value for name, value in fields[0].items() if all(other[name] == value for other in fields)}


def own(configs: Mapping[str, TrainConfig]) -> dict[str, dict[str, Any]]:
    """By contender, the fields in which they are not all alike."""
    common = shared(configs)
    each = {name: _fields(config) for name, config in configs.items()}
    return {name: {f: value for f, value in fields.items() if f not in common} for name, fields in each.items()}


def _fields(config: TrainConfig) -> dict[str, Any]:
    return {f: value for f, value in leaves(config.to_dict()) if f not in ("run", "keep_checkpoints")}


def size(model: StoryGAN) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the folder and hold it. Raises StoryganError where another process does."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise StoryganError(f"another comparison is at work in {out}") from None
