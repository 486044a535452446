"""`storygan edit ...`: edits of a generated story."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.generate import check_picture, display_options, print_understood, read_story, story_options
from storygan.cli.parser import subcommand
from storygan.errors import UnknownWordWarning


def edit_options(parser: ArgumentParser) -> None:
    commands = parser.add_subcommands(dest="edit")
    sentence = subcommand(commands, "sentence", "change one sentence and keep the noise")
    resample = subcommand(commands, "resample", "keep some frames and regenerate the others from new noise")
    extend = subcommand(commands, "extend", "add sentences beyond those that the model was trained on")
    interpolate = subcommand(commands, "interpolate", "interpolate between the story contexts h_0 of two seeds")
    attribution = subcommand(commands, "attribution", "measure how much frames depend on sentences, story and noise")
    for command in (sentence, resample, extend, interpolate, attribution):
        story_options(command, default="edited.png")
    for command in (sentence, resample, extend):
        command.add_argument("--samples", type=int, default=1, help="samples of the story, each of them edited")
    for command in (resample, interpolate):
        command.add_argument("--new-seed", type=int, required=True, help="seed of the new noise")
    for command in (sentence, resample, attribution):
        command.add_argument("--json", action="store_true", help="print the changes as one JSON object")
    sentence.add_argument("--at", type=int, required=True, help="number of the sentence, from 1")
    sentence.add_argument("--to", type=str, required=True, help="the new sentence")
    sentence.add_argument("--keep-context", action="store_true", help="keep h_0: earlier frames stay bit-identical")
    resample.add_argument("--keep", type=int, nargs="+", default=[], help="frames to keep, from 1")
    extend.add_argument("--add", type=str, nargs="+", required=True, help="sentences after the last")
    interpolate.add_argument("--steps", type=int, default=5, help="samples, with both ends")


def edit(args: Namespace) -> None:
    """Run `storygan edit ...`."""
    options = args[args.edit]
    story, out, samples = read_story(options.sentences, options.file), Path(options.out), options.get("samples", 1)
    from storygan import viz
    from storygan.models.storygan import load_for_inference

    viz.check_out(out, options.scale)
    model = load_for_inference(options.model, options.device, options.precision)
    check_picture(options, out, model, story, samples, rows=2 if args.edit in ("sentence", "resample") else 1)
    story = print_understood(model, story, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownWordWarning)  # it was printed
        before = model.generate(story, samples, options.seed)
    EDIT_COMMANDS[args.edit](options, model, before, out)


def edit_sentence(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """Run `storygan edit sentence`."""
    from storygan import editing

    after = editing.change_sentence(model, before, options.at, options.to, options.keep_context)
    objects = (
        [output.sentences[options.at - 1] for output in (before, after)]
        if model.sentence_encoder.kind == "clevr"
        else []
    )
    save_before_after(options, before, after, out, editing.sentence_mask(*objects) if objects else None)


def edit_resample(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """Run `storygan edit resample`."""
    from storygan import editing

    save_before_after(options, before, editing.resample(model, before, options.keep, options.new_seed), out)


def save_before_after(options: Namespace, before: Any, after: Any, out: Path, mask: Any = None) -> None:
    """Save the story before and after an edit, and print how much changed."""
    from storygan import editing, viz

    viz.save_sheet(editing.before_after_rows(before, after), out, **display_options(options, before.aspect_ratio))
    change = editing.pixel_change(before.frames, after.frames, mask)
    where = "; inside: where the old and the new object are" if mask is not None else ""
    table = f"{out}: before and after. Mean change, in levels of 0 to 255{where}:\n{change}"
    print(json.dumps(change.to_dict()) if options.json else table)


def edit_extend(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """Run `storygan edit extend`."""
    from storygan import editing, viz

    after = before
    for sentence in options.add:
        after = editing.extend(model, after, sentence, options.seed)
    display = display_options(options, after.aspect_ratio)
    viz.save_story(after.frames, out, after.sentences, **display)
    print(f"{out}: {len(after.sentences)} frames; the model was trained on stories of {model.config.T}")


def edit_interpolate(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """Run `storygan edit interpolate`. A GIF shows the story at one step after the other."""
    from storygan import editing, viz

    path = editing.interpolate(model, before, options.new_seed, options.steps)
    rows = editing.interpolation_rows(path)
    display = display_options(options, path.aspect_ratio)
    if out.suffix.lower() == ".gif":
        rows = [viz.Row(row.label, row.frames, path.sentences) for row in rows]
        viz.save_animation([[row] for row in rows], out, **display)
    else:
        viz.save_sheet(rows, out, **display)
    print(f"{out}: {options.steps} samples, from the h_0 of seed {options.seed} to that of seed {options.new_seed}")


def edit_attribution(options: Namespace, model: Any, output: Any, out: Path) -> None:
    """Run `storygan edit attribution`."""
    from storygan import editing, viz

    attribution = editing.attribute(model, output)
    rows = editing.attribution_rows(attribution, output, editing.gist_grid(model, output))
    viz.save_sheet(rows, out, **display_options(options, output.aspect_ratio))
    table = f"{out}: change when a source is replaced, in levels of 0 to 255:\n{attribution}"
    print(json.dumps(attribution.to_dict()) if options.json else table)


EDIT_COMMANDS = {
    "sentence": edit_sentence,
    "resample": edit_resample,
    "extend": edit_extend,
    "interpolate": edit_interpolate,
    "attribution": edit_attribution,
}
