"""`storygan generate`, `parse`, `export` and `demo`: use a trained model."""

from __future__ import annotations

import gc
import sys
import warnings
import webbrowser
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from storygan.cli.parser import device_options, named_path, threads_option
from storygan.errors import UnknownWordWarning, UsageError, printable, require_whole
from storygan.files import MAX_TEXT

SHIPPED_MODEL = "clevr-sv"


def story_arguments(parser: ArgumentParser) -> None:
    """Add the sentences, and --file."""
    parser.add_argument(
        "sentences", nargs="*", default=[], help="the story, one sentence an argument; none: --file or stdin"
    )
    parser.add_argument("--file", type=named_path, help="a text file, one sentence a line")


def story_options(parser: ArgumentParser, **out: Any) -> None:
    """Add the options of every command that generates a story; `out` are further arguments of --out."""
    story_arguments(parser)
    parser.add_argument(
        "--model", type=named_path, default=SHIPPED_MODEL, help="a shipped model, a model folder or a hub id"
    )
    parser.add_argument("--strict", action="store_true", help="refuse words that the model was not trained on")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise: the same seed gives the same picture")
    threads_option(parser)
    device_options(parser)
    parser.add_argument("--out", type=named_path, help=".png, .jpg, .webp, .gif, or a folder of frames", **out)
    parser.add_argument("--scale", type=int, default=3, help="enlargement of the frames (not in a folder)")
    parser.add_argument("--no-captions", action="store_true", help="leave out the sentences under the frames")
    parser.add_argument("--raw", action="store_true", help="write the 64x64 pixels as generated, without captions")


def generate_options(parser: ArgumentParser) -> None:
    story_options(parser, action="append")  # several
    parser.add_argument("--samples", type=int, default=1, help="samples of the story, each from other noise")
    parser.add_argument("--show", action="store_true", help="show the frames in the terminal")
    parser.add_argument("--open", action="store_true", help="open the first --out in the system's viewer")


def display_options(options: Namespace, aspect_ratio: float) -> dict[str, Any]:
    """Return the arguments of the `viz` functions of --scale, --no-captions and --raw."""
    if options.raw:
        return {"scale": 1, "aspect_ratio": 1.0, "captions": False}
    return {"scale": options.scale, "aspect_ratio": aspect_ratio, "captions": not options.no_captions}


def check_picture(options: Namespace, out: Path, model: Any, story: Sequence[str], samples: int, rows: int) -> None:
    """Raise UsageError, before frames are generated, if a story or its picture is not possible.

    Args:
        options: of `story_options`.
        out: file or folder to write.
        model: to generate with.
        story: T sentences.
        samples: to generate.
        rows: of the picture, for each sample.
    """
    from storygan import viz
    from storygan.models.storygan import MAX_SAMPLES

    model.require_story(story)
    require_whole("samples", samples, 1, MAX_SAMPLES)
    display = display_options(options, model.aspect_ratio)
    side = model.config.image_size
    viz.check_size(out, samples * rows, len(story), side, display["scale"], display["aspect_ratio"])


def generate(args: Namespace) -> None:
    """Run `storygan generate`."""
    story = read_story(args.sentences, args.file)
    gc.set_threshold(100_000)  # importing PyTorch makes many objects that are never freed
    from storygan import viz
    from storygan.models.accelerate import tune_malloc
    from storygan.models.storygan import load_for_inference

    outs = [Path(out) for out in args.out or ["story.png"]]
    for out in outs:
        viz.check_out(out, args.scale)
    tune_malloc()
    model = load_for_inference(args.model, args.device, args.precision)
    for out in outs:
        check_picture(args, out, model, story, args.samples, 1)
    understood = print_understood(model, story, args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownWordWarning)  # it was printed
        output = model.generate(understood, args.samples, args.seed)
    for out in outs:
        viz.save_story(output.frames, out, story, **display_options(args, model.aspect_ratio))
        print(f"{args.samples} x {len(story)} frames in {out}")
    if args.show:
        from storygan.cli.preview import preview

        print(preview(viz.sheet(viz.story_rows(output.frames), aspect_ratio=model.aspect_ratio)))
    if args.open:
        webbrowser.open(outs[0].resolve().as_uri())
    gc.freeze()  # skip the collection at exit


def print_understood(model: Any, story: Sequence[str], options: Namespace) -> list[str]:
    """Print on stderr how the model reads a story: its sentences for free text, and words that it does not know.

    Returns:
        The sentences as the model reads them.

    Raises:
        UsageError: A sentence is not understood, or with --strict a word is not known.
    """
    understood = model.understand(story)
    for number, (sentence, read) in enumerate(zip(story, understood, strict=True), 1):
        if read != sentence:
            print(f"storygan: sentence {number}: {read}", file=sys.stderr)
    if len(story) > model.config.T:
        print(f"storygan: {len(story)} sentences, {model.config.T} in training: earlier content fades", file=sys.stderr)
    if unknown := model.unknown_words(understood, options.model):
        if options.strict:
            raise UsageError(unknown)
        print(f"storygan: {printable(unknown)}", file=sys.stderr)
    return understood


def parse_options(parser: ArgumentParser) -> None:
    story_arguments(parser)


def parse(args: Namespace) -> None:
    """Run `storygan parse`."""
    from storygan.text.free_text import understand

    print("\n".join(understand(read_story(args.sentences, args.file))))


def read_story(sentences: Sequence[str], file: str | None) -> list[str]:
    """Return the sentences of the call, of the file, or of stdin, without empty lines.

    Raises:
        UsageError: There is no story, or two.
    """
    if sentences and file:
        raise UsageError("give the sentences or --file, not both")
    if sentences:
        return list(sentences)
    try:
        with Path(file).open(encoding="utf-8-sig") if file else nullcontext(sys.stdin) as source:
            text = source.read(MAX_TEXT) if source and not source.isatty() else ""  # --file <(...) is a pipe
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the story in {file or 'standard input'}: {error}") from error
    story = [line.strip() for line in text.splitlines() if line.strip()]
    if not story:
        raise UsageError("no story: give sentences, --file, or one sentence a line on standard input")
    return story


def export_options(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=named_path, help="a shipped model, a model folder or a hub id")
    parser.add_argument("--onnx", action="store_true", help="export one ONNX graph, checked against PyTorch")
    parser.add_argument("--out", type=named_path, help="the file to write; default: MODEL.onnx")


def export(args: Namespace) -> None:
    """Run `storygan export`."""
    if not args.onnx:
        raise UsageError("which format? add --onnx")
    from storygan.export import CHECKED, check_graph_file, export_onnx
    from storygan.models.storygan import StoryGAN

    out = Path(args.out or f"{Path(args.model).resolve().name}.onnx")
    check_graph_file(out)
    model = StoryGAN.from_pretrained(args.model)
    print(f"{args.model}: tracing and checking the graph takes about 15 seconds", flush=True)
    difference = export_onnx(model, out)
    sizes = ", ".join(map(str, CHECKED))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, within {difference:.1g} of PyTorch (stories at once: {sizes})")


def demo_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=named_path,
        nargs="+",
        default=[],
        help="shipped models, model folders or hub ids; default: all shipped",
    )
    parser.add_argument(
        "--host", type=str, default="127.0.0.1", help="address to serve on; 0.0.0.0 opens it to other machines"
    )
    parser.add_argument(
        "--domain", type=str, nargs="+", default=[], help="names of the page, as of a proxy in front of it"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to serve on; 0: any free one")
    threads_option(parser)
    device_options(parser)


def demo(args: Namespace) -> None:
    """Run `storygan demo`."""
    from storygan.demo.server import serve

    serve(args.model, args.host, args.port, args.device, args.precision, args.domain)
