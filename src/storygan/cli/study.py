"""`storygan study`."""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.parser import named_path, threads_option
from storygan.errors import UsageError


def study_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=named_path, help="one of the two systems: a model, or a baseline as in `evaluate`"
    )
    parser.add_argument(
        "--frames", type=named_path, nargs="+", default=[], help="frames of the others, NAME=PATH as in `evaluate`"
    )
    parser.add_argument("--data", type=named_path, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test", help="of the data set")
    parser.add_argument("--stories", type=int, default=20, help="how many to show, the first ones")
    parser.add_argument("--seed", type=int, default=0, help="of the order, of the model's noise and of the bootstrap")
    parser.add_argument("--out", type=named_path, default="study.html", help="HTML page to write")
    parser.add_argument("--answers", type=named_path, nargs="+", default=[], help="analyse these answers, JSON lines")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    threads_option(parser)


def study(args: Namespace) -> None:
    """Run `storygan study`."""
    from storygan.evaluation.study import analyse, read_answers

    if args.answers:
        report = analyse(read_answers(args.answers), args.seed)
        print(json.dumps(report.to_dict()) if args.json else report)
        return
    from storygan.evaluation.report import write_study
    from storygan.evaluation.system_frames import parse_systems

    if not args.data:
        raise UsageError("study: name the data set with --data, or answers with --answers")
    frames = parse_systems(args.frames)
    write_study(args.model, args.data, Path(args.out), frames, args.split, args.stories, args.seed)
    found = {"out": args.out, "stories": args.stories}
    print(json.dumps(found) if args.json else f"wrote {args.out}: storygan study --answers FILES reads what it saves")
