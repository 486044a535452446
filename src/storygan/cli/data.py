"""`storygan data ...`: render, import and check data sets."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.parser import named_path, subcommand
from storygan.config import ImageSize
from storygan.errors import StoryganError, UsageError


def add_render_options(parser: ArgumentParser, T: int) -> None:
    """Add the options of every renderer; T is the default number of frames."""
    parser.add_argument("out", type=named_path, help="folder of the data set; an interrupted run is resumed")
    for split in ("train", "validation", "test"):
        parser.add_argument(f"--{split}", type=int, default=0, help=f"stories of the {split} split")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same stories")
    parser.add_argument("--frames", type=int, default=T, help="T: frames per story (CLEVR-SV: up to 6)")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")


def render_arguments(args: Namespace) -> dict[str, Any]:
    """Return the options of `add_render_options` as arguments of a renderer."""
    same = {name: args[name] for name in ("out", "train", "validation", "test", "seed", "size")}
    return {**same, "T": args.frames}


def data_options(parser: ArgumentParser) -> None:
    """Add the subcommands of `storygan data`."""
    commands = parser.add_subcommands(dest="data")
    render = subcommand(commands, "render-clevr", "render CLEVR-SV stories with Blender (needs `make render-env`)")
    add_render_options(render, T=4)
    render.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    render.add_argument(
        "--shard", type=str, default="1/1", help="i/n: render this job's part of the files (then `data merge`)"
    )
    toon = subcommand(commands, "render-toon", "render Toon-SV stories, cartoons with English sentences")
    add_render_options(toon, T=5)
    merge = subcommand(commands, "merge", "merge the parts of `render-clevr --shard i/n`")
    merge.add_argument("out", type=named_path, help="folder of the data set")
    merge.add_argument("parts", type=named_path, nargs="*", help="folders of the jobs, if they did not share OUT")
    sample = subcommand(commands, "sample", "copy the small rendered data set that ships with the package")
    sample.add_argument("out", type=named_path, help="folder of the new data set")
    add = subcommand(commands, "add-nuisance", "add nuisance columns to CLEVR-SV stories rendered without them")
    add.add_argument("folder", type=named_path, help="folder of the data set")
    check = subcommand(commands, "check", "validate a data set and describe it")
    check.add_argument("folder", type=named_path, help="folder of the data set")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    push = subcommand(commands, "push", "upload a data set to the Hugging Face hub")
    push.add_argument("folder", type=named_path, help="folder of the data set")
    push.add_argument("repo_id", type=str, help="user/name; then `--data.path hub:user/name` reads it")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    prompts = subcommand(commands, "prompts", "write the stories as text, one JSON line each, for other systems")
    prompts.add_argument("folder", type=named_path, help="folder of the data set")
    prompts.add_argument("--split", type=str, default="test", help="of the data set")
    prompts.add_argument("--out", type=named_path, required=True, help="file to write, such as prompts.jsonl")
    imports = subcommand(commands, "import", "convert a public data set, or your own images, to the canonical form")
    layouts = imports.add_subcommands(dest="layout")
    clevr = subcommand(layouts, "clevr-sv", "the original CLEVR-SV: CLEVR_dict.npy and images/")
    pororo = subcommand(layouts, "pororo-sv", "Pororo-SV: SEASON/EPISODE/N.png, descriptions.csv, *.npy")
    flintstones = subcommand(layouts, "flintstones-sv", "Flintstones-SV: annotations, split, video_frames_sampled/")
    stories = subcommand(layouts, "stories", "your own: images and a stories.csv or stories.jsonl")
    for layout in (clevr, pororo, flintstones, stories):
        layout.add_argument("root", type=named_path, help="folder of the original")
        layout.add_argument("out", type=named_path, help="folder of the new data set")
        layout.add_argument("--size", type=ImageSize, default=64, help="pixels a side; pictures are resized")
        layout.add_argument("--json", action="store_true", help="print one JSON object")
    clevr.add_argument(
        "--train-below", type=int, default=0, help="story numbers below go to train (full release: 10000)"
    )
    pororo.add_argument("--ids", type=str, default="", help="file of the split; default: train_seen_unseen_ids.npy")
    stories.add_argument("--frames", type=int, default=0, help="T: frames per story; 0: the most frequent length")


def data(args: Namespace) -> None:
    """Run `storygan data ...`."""
    DATA_COMMANDS[args.data](args[args.data])


def data_render(args: Namespace) -> None:
    """Run `storygan data render-clevr`."""
    from storygan.data.clevr.render import render_clevr

    workers, shard = args.workers or None, parse_shard(args.shard)
    summary = render_clevr(**render_arguments(args), workers=workers, shard=shard)
    print(f"{args.out}: {summary.rendered} stories rendered in {summary.seconds:.0f} s, {summary.existing} existed")


def data_render_toon(args: Namespace) -> None:
    """Run `storygan data render-toon`."""
    from storygan.data.toon.render import render_toon

    summary = render_toon(**render_arguments(args))
    rate = summary.rendered * args.frames / max(summary.seconds, 1e-9)
    print(
        f"{args.out}: {summary.rendered} stories rendered in {summary.seconds:.0f} s "
        f"({rate:.0f} frames/s), {summary.existing} existed"
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Parse `2/8` to (2, 8). Raises UsageError where it is something else."""
    try:
        i, n = map(int, text.split("/"))
    except ValueError:
        raise UsageError(f"--shard {text}: give i/n, as in 2/8") from None
    return i, n


def data_merge(args: Namespace) -> None:
    """Run `storygan data merge`."""
    from storygan.data.clevr.render import merge_clevr

    summary = merge_clevr(args.out, args.parts)
    print(f"{args.out} is complete: {summary.existing} stories")


def data_sample(args: Namespace) -> None:
    """Run `storygan data sample`."""
    from storygan.data.sample import write_sample

    write_sample(args.out)
    print(f"the sample is in {args.out}: storygan data check {args.out}")


def data_import(args: Namespace) -> None:
    """Run `storygan data import ...`."""
    options = args[args.layout].as_dict()
    name = {"stories": "own_stories"}.get(args.layout, args.layout.replace("-", "_"))
    as_json = options.pop("json")
    if "frames" in options:
        options["T"] = options.pop("frames")
    summary = getattr(import_module(f"storygan.data.importers.{name}"), f"import_{name}")(**options)
    print(json.dumps(summary.to_dict()) if as_json else summary)


def data_add_nuisance(args: Namespace) -> None:
    """Run `storygan data add-nuisance`."""
    from storygan.data.add_nuisance import add_nuisance

    count = add_nuisance(args.folder)
    print(
        f"{args.folder}: added nuisance columns to {count} stories"
        if count
        else f"{args.folder} already has the nuisance columns"
    )


def data_check(args: Namespace) -> None:
    """Run `storygan data check`."""
    from storygan.data.check import check_dataset

    report = check_dataset(args.folder)
    print(json.dumps(report.to_dict()) if args.json else report)
    if report.problems:
        raise StoryganError(f"{args.folder} has {len(report.problems)} problems")


def data_push(args: Namespace) -> None:
    """Run `storygan data push`."""
    from storygan.data.hub import push_dataset

    commit = push_dataset(args.folder, args.repo_id, private=args.private or None)
    print(f"{args.folder} is hub:{args.repo_id}@{commit.oid}")


def data_prompts(args: Namespace) -> None:
    """Run `storygan data prompts`."""
    from storygan.data.prompts import write_prompts

    count = write_prompts(args.folder, args.split, args.out)
    print(f"{count} stories are in {args.out}: storygan evaluate --frames NAME=FOLDER evaluates a system's frames")


DATA_COMMANDS = {
    "render-clevr": data_render,
    "render-toon": data_render_toon,
    "merge": data_merge,
    "sample": data_sample,
    "add-nuisance": data_add_nuisance,
    "check": data_check,
    "push": data_push,
    "prompts": data_prompts,
    "import": data_import,
}
