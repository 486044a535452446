"""`storygan evaluate`, `train-recognizer` and `check-recognizer`."""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.drawing import SHIPPED_MODEL
from storygan.cli.parser import named_path, recognizer_option, threads_option


def evaluate_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=named_path,
        default=SHIPPED_MODEL,
        help="a shipped model, a model folder, a hub id, or a row: real-frames, mean-image, previous-real-frame, "
        "another-story",
    )
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test")
    parser.add_argument("--only", type=str, default="", help="only stories whose ids begin so, as toon-test-wording")
    parser.add_argument("--stories", type=int, default=0, help="only so many of them; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the model's noise and of the bootstrap")
    threads_option(parser)
    recognizer_option(parser)
    parser.add_argument("--sheet", type=named_path, help="also a picture of good and bad stories, chosen by rank")
    parser.add_argument("--card", action="store_true", help="also into the card of the model folder, README.md")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def evaluate(args: Namespace) -> None:
    """`storygan evaluate`."""
    from storygan.evaluation.report import evaluate as measure
    from storygan.files import write_whole
    from storygan.models.card import add_results, read_card
    from storygan.models.memory import keep_memory

    path = Path(args.model) / "README.md"
    card = read_card(path) if args.card else ""
    keep_memory()
    sheet = Path(args.sheet) if args.sheet else None
    report = measure(args.model, args.data, args.split, args.stories, args.seed, args.recognizer, args.only, sheet)
    print(json.dumps(report.to_dict()) if args.json else report)
    if args.card:
        write_whole(path, add_results(card, report.to_dict()))


def train_recognizer_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--out", type=named_path, required=True, help="folder of the recognizer")
    parser.add_argument("--split", type=str, default="train", help="what it learns from")
    parser.add_argument("--epochs", type=int, default=16, help="an epoch shows one frame of each story")
    parser.add_argument("--seed", type=int, default=0)
    threads_option(parser)


def train_recognizer(args: Namespace) -> None:
    """`storygan train-recognizer`."""
    from storygan.evaluation.train_recognizer import train_recognizer as learn

    out = learn(args.data, args.split, args.epochs, seed=args.seed).save(args.out)
    print(f"the recognizer is in {out}: storygan check-recognizer --recognizer {out} --data {args.data}")


def check_recognizer_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test")
    recognizer_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def check_recognizer(args: Namespace) -> None:
    """`storygan check-recognizer`."""
    from storygan.evaluation.accuracy import check_recognizer as check
    from storygan.models.recognizer import Recognizer

    accuracy = check(Recognizer.load(args.recognizer) if args.recognizer else None, args.data, args.split)
    print(json.dumps(accuracy.to_dict()) if args.json else accuracy)
