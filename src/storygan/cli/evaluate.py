"""`storygan evaluate`, `train-classifier`, `check-classifier` and `train-matcher`."""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.generate import SHIPPED_MODEL
from storygan.cli.parser import classifiers_option, device_option, device_options, named_path, threads_option
from storygan.errors import UsageError


def evaluate_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=named_path,
        help="a shipped model, a model folder, a hub id, or a baseline: real-frames, mean-image, previous-real-frame, "
        f"first-real-frame, another-story, nearest-story; default: {SHIPPED_MODEL}, or none beside --frames",
    )
    parser.add_argument(
        "--frames",
        type=named_path,
        nargs="+",
        default=[],
        help="frames of other systems: NAME=FOLDER with STORY_ID/1.png to STORY_ID/T.png, or NAME=FILE.parquet",
    )
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test", help="of the data set")
    parser.add_argument("--id-prefix", type=str, default="", help="only stories whose ids begin with it")
    parser.add_argument("--stories", type=int, default=0, help="how many to evaluate on, the first ones; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the model's noise and of the bootstrap")
    threads_option(parser)
    device_options(parser)
    classifiers_option(parser)
    parser.add_argument(
        "--matcher", type=named_path, help="folder of the matcher; default: the shipped one for the data"
    )
    parser.add_argument(
        "--download-inception", action="store_true", help="first download Inception's weights, 91 MiB, for KID and FID"
    )
    parser.add_argument("--sample-grid", type=named_path, help="image of stories from best to worst to write")
    parser.add_argument("--page", type=named_path, help="HTML page of tables, best and worst stories to write")
    parser.add_argument("--card", action="store_true", help="write the metrics to the model card, README.md, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def evaluate(args: Namespace) -> None:
    """Run `storygan evaluate`."""
    from storygan.evaluation.distances import download_inception
    from storygan.evaluation.report import evaluate as evaluate_model
    from storygan.evaluation.system_frames import parse_systems
    from storygan.files import atomic_write
    from storygan.models.accelerate import tune_malloc
    from storygan.models.model_card import add_results, read_card

    frames = parse_systems(args.frames)
    model = args.model or (None if frames else SHIPPED_MODEL)
    if args.card and model is None:
        raise UsageError("--card: name the model whose card it is, with --model")
    path = Path(model or "") / "README.md"
    card = read_card(path) if args.card else ""
    if args.download_inception:
        download_inception()
    tune_malloc()
    report = evaluate_model(
        model,
        args.data,
        args.split,
        args.stories,
        args.seed,
        args.classifier,
        args.id_prefix,
        Path(args.sample_grid) if args.sample_grid else None,
        args.device,
        args.precision,
        frames,
        Path(args.page) if args.page else None,
        args.matcher,
    )
    print(json.dumps(report.to_dict()) if args.json else report)
    if args.card:
        atomic_write(path, add_results(card, report.to_dict()))


def training_options(parser: ArgumentParser, network: str, epochs: int) -> None:
    """Add the options of the commands that train a network on real frames; `epochs` is the default."""
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--out", type=named_path, required=True, help=f"folder of the {network} to write")
    parser.add_argument("--split", type=str, default="train", help="to train on")
    parser.add_argument("--epochs", type=int, default=epochs, help="an epoch shows one frame of each story")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, batches and augmentation")
    threads_option(parser)
    device_option(parser)


def train_classifier_options(parser: ArgumentParser) -> None:
    training_options(parser, "classifier", epochs=16)
    parser.add_argument("--architecture", choices=["plain", "resnet"], default="plain", help="of the network")


def train_classifier(args: Namespace) -> None:
    """Run `storygan train-classifier`."""
    from storygan.evaluation.train_classifier import train_classifier as train

    classifier = train(
        args.data, args.split, args.epochs, seed=args.seed, architecture=args.architecture, device=args.device
    )
    out = classifier.save(args.out)
    print(f"the classifier is in {out}: storygan check-classifier --classifier {out} --data {args.data}")


def train_matcher_options(parser: ArgumentParser) -> None:
    training_options(parser, "matcher", epochs=4)


def train_matcher(args: Namespace) -> None:
    """Run `storygan train-matcher`."""
    from storygan.evaluation.r_precision import train_matcher as train

    out = train(args.data, args.split, args.epochs, seed=args.seed, device=args.device).save(args.out)
    print(f"the matcher is in {out}: storygan evaluate --matcher {out} --data {args.data}")


def check_classifier_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test", help="of the data set")
    parser.add_argument(
        "--classifier", type=named_path, help="folder of a classifier; default: the shipped one for the data"
    )
    device_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def check_classifier(args: Namespace) -> None:
    """Run `storygan check-classifier`."""
    from storygan.evaluation.train_classifier import check_classifier as check
    from storygan.models.attribute_classifier import AttributeClassifier

    classifier = AttributeClassifier.load(args.classifier) if args.classifier else None
    report = check(classifier, args.data, args.split, args.device)
    print(json.dumps(report.to_dict()) if args.json else report)
