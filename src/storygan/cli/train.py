"""`storygan train` and `compare`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from storygan.cli.parser import ConfigFile, classifiers_option, named_path, plain_message, plain_yaml
from storygan.cli.streams import quiet_threads
from storygan.config import VARIANTS, TrainConfig
from storygan.errors import UsageError
from storygan.files import read_text

LOGGERS = {"wandb": "WandbLogger", "trackio": "TrackioLogger"}


def train_options(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action=ConfigFile, help="a YAML file of the fields below; or `train FILE`")
    parser.add_argument("--resume", action="store_true", help="resume a run bit-exactly: --resume RUN_FOLDER")
    parser.add_argument(
        "--from-stage",
        nargs=2,
        metavar=("NAME", "FOLDER"),
        help="start at a stage, with the folder of the stage before",
    )
    parser.add_argument("--logger", nargs="+", choices=LOGGERS, default=[], help="log to these too")
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)


def train(args: Namespace) -> None:
    """Run `storygan train`."""
    values = args.as_dict()
    require_stages(values, values.pop("config", None))
    resume, from_stage, loggers = (values.pop(name) for name in ("resume", "from_stage", "logger"))
    run = values["run"]
    if resume and run and not os.path.isfile(f"{run}/config.yaml"):
        raise UsageError(f"{run} holds no run to resume: name one, --resume RUN_FOLDER, or start one with a file")
    if resume and from_stage:
        raise UsageError("--from-stage starts a run, and --resume continues one: give one of them")
    config = training_config(values)
    from storygan.models.accelerate import tune_malloc
    from storygan.training import loggers as library
    from storygan.training.loop import train as train_loop

    tune_malloc()
    more = [getattr(library, LOGGERS[name])() for name in loggers]
    with quiet_threads():
        folder = train_loop(config, resume, from_stage and tuple(from_stage), loggers=more)
    if folder:
        print(f"the model is in {folder}: storygan generate --model {folder} ...")


def training_config(values: dict[str, Any]) -> TrainConfig:
    """Return the configuration of the options. Raises UsageError where it has no data set."""
    config = TrainConfig.from_dict(values)
    if not config.data.path:
        raise UsageError("no stories: name a data set folder with --data.path")
    return config


def require_stages(values: dict[str, Any], files: list[Any] | None) -> None:
    """Raise UsageError where an option names a stage that the last configuration file does not have."""
    for path in reversed([path for file in files or [] if os.path.isfile(path := Path(str(file)))]):
        content = plain_yaml(read_text(path))
        if isinstance(content, dict) and (stages := content.get("stages")):
            if added := sorted(set(values["stages"]) - set(stages)) if set(stages) <= set(values["stages"]) else []:
                raise UsageError(f"--stages.{added[0]}: there is no such stage in {path}: it has {', '.join(stages)}")
            return


SET_BY_COMPARE = ("run", "keep_checkpoints")
"""Fields that the comparison sets; a YAML file may have them, for `train`."""


def compare_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=named_path, required=True, help="folder of the comparison; the same call resumes it"
    )
    parser.add_argument("--variants", type=str, nargs="+", default=list(VARIANTS), help="the first against the others")
    parser.add_argument(
        "--runs-file", type=named_path, help="instead of variants, a YAML file: name: {dotted field: value}"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[], help="train each run with each of these; default: with its `seed`"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="training budget of each run; 0: all stages")
    parser.add_argument("--split", type=str, default="test", help="split to evaluate on")
    parser.add_argument("--stories", type=int, default=8, help="stories on the page")
    classifiers_option(parser)
    parser.add_argument("--config", action=ConfigFile, help="a YAML file of the fields below, shared by all runs")
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)


def compare(args: Namespace) -> None:
    """Run `storygan compare`."""
    values = args.as_dict()
    require_stages(values, values.pop("config", None))
    options = {name: values.pop(name) for name in ("out", "minutes", "split", "stories", "seeds")}
    classifiers = values.pop("classifier")
    variants, runs_file = values.pop("variants"), values.pop("runs_file")
    config = training_config(values)
    set_here = {f"--{name}" for name in SET_BY_COMPARE}
    set_here |= {name for name, given in (("--model.variant", not runs_file), ("--seed", options["seeds"])) if given}
    if ignored := set_here & {argument.partition("=")[0] for argument in sys.argv[1:]}:
        raise UsageError(
            f"the comparison sets {', '.join(sorted(ignored))}: use --out, --variants or --runs-file, and --seeds"
        )
    from storygan.compare.comparison import compare as compare_runs
    from storygan.compare.comparison import variant_configs

    configs = read_runs_file(runs_file, config) if runs_file else variant_configs(config, variants)
    with quiet_threads():
        compare_runs(configs, classifiers=classifiers, **options, command=shlex.join(["storygan", *sys.argv[1:]]))
    print(f"the page is {options['out']}/compare.html; compare.md, compare.json and compare.svg are beside it")


def read_runs_file(file: str, config: TrainConfig) -> dict[str, TrainConfig]:
    """Return the configurations of a YAML file: by name, `config` with the given fields, dotted, replaced."""
    import yaml

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)
    try:
        runs = plain_yaml(read_text(Path(file)))
        options = {
            str(name): [f"--{field}={value}" for field, value in fields.items()] for name, fields in runs.items()
        }
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{file} does not hold runs, `name: {{field: value}}`: {reason}") from error
    start = parser.parse_object(config.to_dict())
    try:
        parsed = {name: parser.parse_args(args, start.clone()) for name, args in options.items()}
    except ArgumentError as error:
        raise UsageError(f"{file}: {plain_message(parser, ' '.join(str(error).split()))[0]}") from error
    if ignored := [f"{name}: {field}" for name, fields in runs.items() for field in fields if field in SET_BY_COMPARE]:
        raise UsageError(f"{file}: {', '.join(ignored)} is set by the comparison: leave it out")
    return {name: TrainConfig.from_dict(values.as_dict()) for name, values in parsed.items()}
