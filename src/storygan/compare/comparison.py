"""`storygan compare`: train several runs with the same budget, evaluate them, write tables and a page.

The runs are the paper's variants of one configuration, or any other configurations; the tables list their differences.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from storygan.compare.page import draw_curves, make_page, read_curves
from storygan.compare.result import Comparison, Training
from storygan.compare.round_robin import Run, train_round_robin
from storygan.config import TrainConfig, leaves
from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import UsageError
from storygan.evaluation.baselines import METHODS
from storygan.evaluation.bootstrap import Estimate, PerStory, estimates
from storygan.evaluation.labelled_frames import find_classifiers, labelled_frames_if_any
from storygan.evaluation.measure import DIVERSITY_NOTE, measure, measure_diversity
from storygan.evaluation.system_frames import require_name
from storygan.evaluation.tables import differences
from storygan.files import atomic_write, locked, parse_json, read_text
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.training.check_fit import check_fit, open_training_data
from storygan.training.loggers import METRICS

NAME = "compare"
"""OUT/compare.json, .md, .html, .svg."""
NOTES = (
    "all runs: the same stories in the same order; fields that are not named above are the same",
    "adversarial: iterations in which a discriminator trains the generator",
    "minutes: wall clock of all rounds; seconds per iteration: of the median round",
    "differences, where a classifier knows the stories: both runs resampled together, story by story; better or worse "
    "where the interval excludes 0",
    "each run folder's config.yaml is complete: storygan train reproduces the model from it, with a new --run",
)

ONE_SEED_NOTE = "each run was trained once: the intervals are over stories, not over training seeds"
SEEDS_NOTE = (
    "each configuration was trained with several seeds: the intervals are over runs and stories, of kid, fid, "
    "story_fid, diversity and sensitivity from the lowest to the highest end of the runs' own; with few seeds they are "
    "too narrow: of differences between models, those of two seeds cover about 67%, of three 80%, of ten 92%"
)


def variant_configs(config: TrainConfig, variants: Sequence[str]) -> dict[str, TrainConfig]:
    """Return one configuration per variant. Raises UsageError on an unknown variant."""
    if len(set(variants)) < len(variants):
        raise UsageError(f"--variants {' '.join(variants)}: name each variant once")
    return {v: replace(config, model=replace(config.model, variant=v)) for v in variants}  # type: ignore[arg-type]


def seed_runs(configs: Mapping[str, TrainConfig], seeds: Sequence[int]) -> dict[str, dict[str, TrainConfig]]:
    """Return the runs of each configuration, by name: one for each seed, or with fewer than two seeds one."""
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {' '.join(map(str, seeds))}: name each seed once")
    return {
        name: {
            f"{name}-seed{seed}" if len(seeds) > 1 else name: replace(config, seed=seed)
            for seed in seeds or [config.seed]
        }
        for name, config in configs.items()
    }


def compare(
    configs: Mapping[str, TrainConfig],
    out: str | Path,
    minutes: float = 0.0,
    split: str = "test",
    stories: int = 8,
    classifiers: Sequence[str | Path] = (),
    seeds: Sequence[int] = (),
    command: str = "",
) -> Comparison:
    """Train each run in OUT/NAME, or OUT/NAME-seedN, evaluate all, write OUT/compare.json, .md, .html and .svg.

    The same call resumes after an interruption; a larger budget continues from the smaller one.

    Args:
        configs: by name; the first is compared with each other one. `run` and `keep_checkpoints` are set here.
        out: folder of the comparison.
        minutes: wall-clock budget of each run; 0: all stages.
        split: split to evaluate on.
        stories: number of stories on the page, the first of the split.
        classifiers: folders of the evaluation classifiers; empty: the shipped ones that know the data.
        seeds: of training; each configuration is trained with each. Empty: with its own.
        command: the command line, for the notes.

    Raises:
        UsageError: arguments, configurations and data do not fit together; the folder holds another comparison.
        StoryganError: a file cannot be read, or training fails.
    """
    if not 0 <= minutes < math.inf:  # NaN too
        raise UsageError(f"--minutes {minutes:g}: give 0 or more")
    if stories < 1:
        raise UsageError(f"--stories is {stories}: it must be at least 1")
    if not configs:
        raise UsageError("nothing to compare: name at least one run")
    for name in configs:
        require_name(name)
    if not minutes and len({config.iterations for config in configs.values()}) > 1:
        raise UsageError("the runs have different budgets: give all the same stages, or --minutes")
    out = Path(out)
    by_seed = seed_runs(configs, seeds)
    names = {name: list(runs) for name, runs in by_seed.items()}
    configs = {
        name: replace(config, run=str(out / name), keep_checkpoints=2)
        for runs in by_seed.values()
        for name, config in runs.items()
    }
    config = next(iter(configs.values()))
    if any((each.data, each.model.T) != (config.data, config.model.T) for each in configs.values()):
        raise UsageError("the runs are not trained on the same data: give all the same `data` and `model.T`")
    if any(each.validation.patience for each in configs.values()):
        raise UsageError("validation.patience ends a run early, but these have the same budget: leave it out")
    config, dataset = open_training_data(config)
    configs = {
        name: replace(each, data=config.data, model=replace(each.model, T=config.model.T))
        for name, each in configs.items()
    }
    for each in configs.values():
        check_fit(each, dataset)
    test = open_split(config.data.path, split)
    if test.T != config.model.T or len(test) < 2:
        raise UsageError(f"the split {split} needs at least 2 stories of {config.model.T} sentences")
    find_classifiers(labelled_frames_if_any(test), classifiers)
    with locked(out):
        if missing := sorted(compared_runs(out) - set(configs)):
            raise UsageError(f"{out} holds a comparison with {', '.join(missing)} too: name all, or give another --out")
        runs = {name: Run(each) for name, each in configs.items()}
        if exceeded := [name for name, run in runs.items() if run.exceeds(minutes)]:
            raise UsageError(f"{', '.join(exceeded)} had more than {minutes:g} minutes already: give more")
        train_round_robin(list(runs.values()), minutes)
        budget = f"{minutes:g} minutes each" if minutes else f"{config.iterations:,} iterations each"
        comparison, generated = evaluate_runs(runs, names, budget, test, split, classifiers)
        if command:
            comparison = replace(comparison, notes=[f"made by: {command}", *comparison.notes])
        curves = draw_curves(
            {name: [read_curves(runs[run].path / METRICS) for run in own] for name, own in names.items()}
        )
        frames = {METHODS["real_frames"]: test.batch(range(min(stories, len(test)))), **generated}
        page = make_page(comparison, test.sentences[:stories], frames, curves, test.aspect_ratio)
        atomic_write(out / f"{NAME}.json", json.dumps(comparison.to_dict(), indent=1) + "\n")
        atomic_write(out / f"{NAME}.md", comparison.markdown(f"{NAME}.svg"))
        atomic_write(out / f"{NAME}.svg", curves + "\n")
        atomic_write(out / f"{NAME}.html", page)
    return comparison


def compared_runs(out: Path) -> set[str]:
    """Return the names of the runs in a folder's compare.json; empty where it cannot be read."""
    try:
        return set(parse_json(read_text(out / f"{NAME}.json"))["trained"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def evaluate_runs(
    runs: dict[str, Run],
    names: Mapping[str, Sequence[str]],
    budget: str,
    test: StoryDataset,
    split: str,
    classifiers: Sequence[str | Path],
) -> tuple[Comparison, dict[str, np.ndarray]]:
    """Evaluate the models of the runs; `names` has the runs of each configuration.

    Returns:
        The comparison, and by configuration the frames of all test stories that its first run generates, uint8
        (N, T, H, W, 3).
    """
    configs = {name: run.config for name, run in runs.items()}
    config = next(iter(configs.values()))
    torch.set_flush_denormal(True)
    models = {name: StoryGAN.from_pretrained(run.path / "model") for name, run in runs.items()}
    fused = {name: fuse_batch_norm(model) for name, model in models.items()}
    generated = {name: model.generate_dataset(test.sentences, seed=config.seed) for name, model in fused.items()}
    found = measure(test, config.data.path, generated, config.seed, classifiers)
    for name, model in fused.items():
        found.table[name].update(measure_diversity(model, test.sentences, config.seed))
    several = len(runs) > len(names)
    per_story = {name: group([found.classifier_metrics[run] for run in own]) for name, own in names.items()}
    metrics = {name: found.table[name] for name in found.table if name not in runs}
    for name, own in names.items():
        per_run = group([found.per_story(run) for run in own])
        metrics[name] = estimates(per_run, config.seed) | {
            metric: envelope([found.table[run][metric] for run in own])
            for metric in found.table[own[0]]
            if metric not in per_run
        }
    about = [SEEDS_NOTE if several else ONE_SEED_NOTE]
    where = f"{len(test)} stories of {Path(config.data.path).name}, split {split}"
    shared, differing = split_fields(configs)
    comparison = Comparison(
        budget=budget,
        config=shared,
        differing_fields=differing,
        trained={
            name: Training(
                run.iterations,
                run.adversarial,
                run.seconds / 60,
                run.seconds_per_iteration,
                sum(parameter.numel() for parameter in models[name].parameters()),
            )
            for name, run in runs.items()
        },
        metrics=metrics,
        runs={run: found.table[run] for run in runs} if several else {},
        differences=differences(per_story, config.seed) if any(per_story.values()) else {},
        notes=[f"{where}; noise, bootstrap: seed {config.seed}", *NOTES, *found.notes, DIVERSITY_NOTE, *about],
    )
    return comparison, {name: generated[own[0]] for name, own in names.items()}


def group(runs: Sequence[Mapping[str, PerStory]]) -> dict[str, list[PerStory]]:
    """Return the metrics of several runs, by name."""
    return {name: [run[name] for run in runs] for name in runs[0]}


def envelope(values: Sequence[Estimate | None]) -> Estimate | None:
    """Return the mean of estimates, from the lowest to the highest end of their intervals; None if one is undefined."""
    if not (found := [value for value in values if value]) or len(found) < len(values):
        return None
    mean = float(np.mean([value.mean for value in found]))
    return Estimate(mean, min(v.low for v in found), max(v.high for v in found), min(v.stories for v in found))


def split_fields(configs: Mapping[str, TrainConfig]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the fields that all configurations share, and by run those that differ; both by dotted name."""
    skipped = ("run", "keep_checkpoints")  # set by the comparison
    fields = {
        name: {field: value for field, value in leaves(config.to_dict()) if field not in skipped}
        for name, config in configs.items()
    }
    first = next(iter(fields.values()))
    shared = {f: value for f, value in first.items() if all(f in own and own[f] == value for own in fields.values())}
    return shared, {name: {f: value for f, value in own.items() if f not in shared} for name, own in fields.items()}
