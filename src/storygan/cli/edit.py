"""`storygan edit ...`: a drawn story, changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.generate import read_story, story_options
from storygan.cli.parser import subcommand


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
    for command in (sentence, redraw, influence):
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
    from storygan import editing, viz
    from storygan.models.accelerate import fuse_batch_norm
    from storygan.models.storygan import StoryGAN

    viz.check_out(out, options.scale)
    model = fuse_batch_norm(StoryGAN.from_pretrained(options.model))
    EDIT_COMMANDS[args.edit](options, model, editing.draw(model, story, options.seed, samples), out)


def edit_sentence(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit sentence`."""
    from storygan import editing, viz

    after = editing.change_sentence(model, before, options.at, options.to, options.keep_context)
    places = [before.story[options.at - 1], options.to] if model.sentence_encoder.kind == "clevr" else []
    effect = editing.effect(before.frames, after.frames, editing.place_of(*places))
    viz.save_sheet(editing.before_and_after(before, after), out, options.scale)
    tell_effect(options, out, effect, "; inside: where the old and the new object stand" if places else "")


def tell_effect(options: Namespace, out: Path, effect: Any, where: str = "") -> None:
    """Print what changed, as a table or as JSON."""
    told = f"{out}: before and after. Mean change, in levels of 0 to 255{where}:\n{effect}"
    print(json.dumps(effect.to_dict()) if options.json else told)


def edit_redraw(options: Namespace, model: Any, before: Any, out: Path) -> None:
    """`storygan edit redraw`."""
    from storygan import editing, viz

    after = editing.redraw(model, before, options.keep, options.new_seed)
    viz.save_sheet(editing.before_and_after(before, after), out, options.scale)
    tell_effect(options, out, editing.effect(before.frames, after.frames))


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
