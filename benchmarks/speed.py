"""Time training, generation and their parts: python benchmarks/speed.py COMMAND --help.

    steps               training iterations and generation, in fp32 and bf16
    convolutions        every layer of the model, with each way to compute it
    against COMMIT      A/B timing of this tree and another commit's
    processes           the command line, from start to end
    onnx                generation with PyTorch and ONNX Runtime
    gpu                 training with configs/clevr-sv.yaml on a GPU

The columns of a table are timed in turns, so that other work slows them alike: trust ratios more than milliseconds. A
speedup has the quartiles of the ratios within turns. `--json FILE` writes all values, with the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import timing
import torch
import yaml
from authors import authors_iteration
from timing import ROOT, Row
from torch import Tensor
from torch.nn import functional as F

from storygan.data.sample import write_sample
from storygan.models import accelerate
from storygan.models import convolutions as fast
from storygan.models.attribute_classifier import SHIPPED

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
MS = "Milliseconds: median (quartiles)"
RECONSTRUCTION = {"batch_size": 32, "frames": 2, "G": {"loss": {"mse": 1.0}}}
RELATIVISTIC = {
    **RECONSTRUCTION,
    "gan_loss": "relativistic",
    "D_I": {"loss": {"L_image": 1.0}},
    "G": {"adversarial_ratio": 1.0, "loss": {"mse": 1.0, "L_image": 1.0}},
}
R1 = {**RELATIVISTIC, "r1_every": 1, "D_I": {"loss": {"L_image": 1.0, "r1": 1.0, "r2": 1.0}}}
PAPER = {
    "batch_size": 16,
    "mismatched": True,
    "D_I": {"loss": {"L_image": 1.0}},
    "D_S": {"loss": {"L_story": 1.0}},
    "G": {"loss": {"L_image": 1.0, "L_story": 1.0, "L_KL": 1.0}},
}


def stage(values: dict[str, Any], *learning: str, **others: Any) -> dict[str, Any]:
    """Return the configuration of one stage, of the named networks alone if there are any."""
    left_out = {"D_I", "D_S", "G"} - set(learning) if learning else set()
    return {"stages": {"timed": {name: value for name, value in values.items() if name not in left_out}}, **others}


STEPS: dict[str, dict[str, Any]] = {
    "reconstruction, 32 stories, 2 frames": stage(RECONSTRUCTION),
    "adversarial, relativistic D_I without norm": stage(RELATIVISTIC, discriminator={"norm": "none"}),
    "... with R1 and R2": stage(R1, discriminator={"norm": "none"}),
    "adversarial, the paper's, 16 stories": stage(PAPER),
    "... generate, update D_I": stage(PAPER, "D_I"),
    "... generate, update D_S": stage(PAPER, "D_S"),
    "... generate, update G": stage(PAPER, "G"),
    "generate 1 story": {**stage(PAPER), "generate": 1},
    "generate 32 stories": {**stage(PAPER), "generate": 32},
}
AUTHORS = "the authors' code, 16 stories"


# ---- training and generation, in processes of their own ----


class Worker:
    """A process that builds and times rows with the code of a tree (`worker.py`)."""

    def __init__(self, source: Path, **settings: Any) -> None:
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), json.dumps(settings)]
        pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(source)}
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(self, row: dict[str, Any] | None = None) -> Any:
        """Build a row and return its facts; without one, run the present row and return the milliseconds."""
        print(json.dumps(row), file=self.process.stdin, flush=True)
        if not (line := self.process.stdout.readline()):
            raise SystemExit("speed.py: a process that timed has ended: see its message")
        return json.loads(line)


@contextmanager
def workers(variants: dict[str, dict[str, Any]]) -> Iterator[dict[str, Worker]]:
    """Start a worker for each variant, each with its own copy of the sample data set, and end them."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        started: dict[str, Worker] = {}
        for name, settings in variants.items():
            write_sample(data := Path(folder) / f"sample-{len(started)}")
            common = {"source": ROOT / "src", "data": str(data), "threads": torch.get_num_threads()}
            started[name] = Worker(**common | settings)
            stack.callback(started[name].process.wait)
            stack.callback(started[name].process.kill)
        yield started


def measure(variants: dict[str, Worker], rows: dict[str, dict[str, Any]], repeats: int) -> dict[str, Row]:
    """Time rows with every worker in turns. A row that a worker does not have is left out, with the reason."""
    table: dict[str, Row] = {}
    for name, row in rows.items():
        facts = {variant: worker.ask(row) for variant, worker in variants.items()}
        missing = [f"{variant}: {fact['error']}" for variant, fact in facts.items() if "error" in fact]
        if missing:
            print(f"no row {name!r}: {'; '.join(missing)}", file=sys.stderr)
            continue
        turns, timers = repeats * (4 if row.get("generate") == 1 else 1), {v: w.ask for v, w in variants.items()}
        table[name] = timing.compare(timing.alternate(timers, turns))
        table[name] |= {"GFLOP": max(fact["GFLOP"] for fact in facts.values()), "facts": facts}
    return table or sys.exit("speed.py: no row was measured")


def steps(arguments: argparse.Namespace) -> None:
    """Time training iterations and generation."""
    here = timing.machine()
    peaks = {name: timing.peak_gflops(PRECISIONS[name]) for name in arguments.precision}
    with workers({precision: {"precision": precision} for precision in arguments.precision}) as variants:
        rows = measure(variants, only(STEPS, arguments), arguments.repeats)
    for row in rows.values():
        for precision, peak in peaks.items():
            row[f"{precision} floor"] = row["GFLOP"] / peak * 1e3
    if arguments.reference:
        try:
            call = authors_iteration(arguments.reference, PAPER["batch_size"])
            found = timing.alternate({"fp32": timing.clock(call)}, min(arguments.repeats, 3))  # 20 times our GFLOP
            rows[AUTHORS] = {"fp32": timing.quartiles(found["fp32"]), "GFLOP": timing.gflop(call)}
        except Exception as error:  # a clone of any state
            print(f"no row {AUTHORS!r}: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
    timing.write(rows, {**here, "peak_gflops": peaks}, MS, arguments.json, ["facts"])


def against(arguments: argparse.Namespace) -> None:
    """Time this tree and another commit's, on the same batches and noise."""
    here, before = timing.machine(), arguments.precision_before or arguments.precision
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", arguments.commit, "src"], cwd=ROOT, capture_output=True)
        if archive.returncode:
            raise SystemExit(f"speed.py: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        names = (f"{timing.commit_name(arguments.commit)}, {before}", f"this tree, {arguments.precision}")
        settings = ({"source": Path(folder) / "src", "precision": before}, {"precision": arguments.precision})
        with workers(dict(zip(names, settings, strict=True))) as variants:
            rows = measure(variants, only(STEPS, arguments), arguments.repeats)
    timing.write(rows, here, MS, arguments.json, ["facts"])


def gpu(arguments: argparse.Namespace) -> None:
    """Time the stages of configs/clevr-sv.yaml, and generation, in each precision, compiled and not."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        return print("speed.py: not measured on a GPU: PyTorch finds none")
    config = yaml.safe_load((ROOT / "configs/clevr-sv.yaml").read_text())
    stages, common = config["stages"], {name: config[name] for name in ("model", "discriminator", "initialization")}
    fields = {"shards": [], "foreground_weight": 1.0}  # the sample has one shard, and no such column
    rows = {name: {**common, "stages": {name: {**values, **fields}}} for name, values in stages.items()}
    for name in ("refinement", "adversarial"):
        rows[name]["aux_classifier"] = str(SHIPPED)
    rows |= {name: row for name, row in STEPS.items() if "relativistic" in name or "generate" in row}
    kinds = [p + compiled for compiled in ("", ", compiled")[: 2 - arguments.no_compile] for p in arguments.precision]
    with workers({kind: {"precision": kind[:4], "compile": "compiled" in kind} for kind in kinds}) as variants:
        table = measure(variants, only(rows, arguments), arguments.repeats)
    derived: dict[str, Row] = {}
    for name, row in table.items():
        stories = rows[name].get("generate") or next(iter(rows[name]["stages"].values()))["batch_size"]
        derived[f"{name}: stories/s"] = {kind: 1e3 * stories / row[kind]["median"] for kind in kinds}
        derived[f"{name}: peak memory, MB"] = {kind: row["facts"][kind]["peak_mb"] for kind in kinds}
    if table.keys() >= stages.keys():
        ms = {kind: sum(stages[n]["iterations"] * table[n][kind]["median"] for n in stages) for kind in kinds}
        derived["configs/clevr-sv.yaml as a whole: minutes"] = {kind: one / 6e4 for kind, one in ms.items()}
    hidden = ["facts", "GFLOP", *(f"{kind}: speedup" for kind in kinds)]
    timing.write(table | derived, timing.machine(), MS, arguments.json, hidden)


# ---- convolutions ----

FRAMES = 64
LAYERS: dict[str, tuple[str, int, int, int]] = {  # kind, inputs, outputs, side of the smaller map
    "trunk, 3 to 64, to 32x32": ("downsample", 3, 64, 32),
    "trunk, 64 to 128, to 16x16": ("downsample", 64, 128, 16),
    "trunk, 128 to 256, to 8x8": ("downsample", 128, 256, 8),
    "trunk, 256 to 512, to 4x4": ("downsample", 256, 512, 4),
    "conditional, 512 to 512, 4x4": ("same", 512, 512, 4),
    "generator, 128 to 512, 4x4": ("same", 128, 512, 4),
    "generator, 512 to 256, from 4x4": ("upsample", 512, 256, 4),
    "generator, 256 to 128, from 8x8": ("upsample", 256, 128, 8),
    "generator, 128 to 64, from 16x16": ("upsample", 128, 64, 16),
    "generator, 64 to 3, from 32x32": ("upsample", 64, 3, 32),
}
Convolution = Callable[[Tensor, Tensor], Tensor]


def layer(kind: str, inputs: int, outputs: int, size: int) -> tuple[Tensor, Tensor, dict[str, Convolution]]:
    """Return an input, a weight and the ways to compute a layer, as the networks do: channels_last, without bias."""
    stride, upsample, nhwc = (1 if kind == "same" else 2), kind == "upsample", {"memory_format": torch.channels_last}
    side, taps = size if upsample else size * stride, 3 if kind == "same" else 4
    x = torch.randn(FRAMES, inputs, side, side).contiguous(**nhwc)
    if upsample:
        weight = accelerate.upsample_kernel(torch.randn(outputs, inputs, 3, 3))
        native: Convolution = partial(F.conv_transpose2d, stride=2, padding=1)
        winograd: Convolution = fast.conv_transpose2d
    else:
        weight = torch.randn(outputs, inputs, taps, taps).contiguous(**nhwc)
        native, winograd = partial(F.conv2d, stride=stride, padding=1), partial(fast.conv2d, stride=stride)
    ways = {
        "fp32: native": native,
        "fp32: Winograd": winograd,
        "bf16: native": native,
        "bf16: matrix products": lambda x, weight: fast.Bf16Convolution.apply(x, weight, stride, upsample),
    }
    return x, weight, ways


def passes(convolution: Convolution, x: Tensor, weight: Tensor) -> list[float]:
    """Return the milliseconds of processor time: forward, the input's gradient, the weight's gradient."""
    now, gradients = time.process_time, []
    for learned in (x, weight):
        start, inputs = now(), [one.detach().requires_grad_(one is learned) for one in (x, weight)]
        y = convolution(*inputs)
        forward, ones = now() - start, torch.ones_like(y)
        start = now()
        torch.autograd.grad(y, [one for one in inputs if one.requires_grad], ones)
        gradients.append(now() - start)
    return [1e3 * seconds for seconds in (forward, *gradients)]


def chosen(way: str, stride: int, size: int) -> list[bool]:
    """Return whether the tables of `convolutions.py` choose a way, for each of the passes."""
    precision, kind = way.split(": ")
    if precision == "fp32":
        other = [(stride, size) in fast.WINOGRAD_TILES] * 3
    else:
        limits = fast.MAX_BF16_SIZE, fast.MAX_BF16_SIZE, fast.MAX_BF16_SIZE_WEIGHT_GRADIENT
        other = [size <= limit for limit in limits]
    return [not one for one in other] if kind == "native" else other


def convolutions(arguments: argparse.Namespace) -> None:
    """Time every convolution of the model with each way to compute it, on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    here = timing.machine()
    peaks = {name: timing.peak_gflops(PRECISIONS[name]) for name in arguments.precision}
    rows: dict[str, Row] = {}
    everywhere: dict[str, Any] = {"MAX_BF16_SIZE": 64, "MAX_BF16_SIZE_WEIGHT_GRADIENT": 64}
    everywhere["WINOGRAD_TILES"] = {(2, 16): (4, 4), (2, 32): (4, 4), **fast.WINOGRAD_TILES}
    for name in only(LAYERS, arguments):
        kind, *_, size = LAYERS[name]
        x, weight, ways = layer(*LAYERS[name])
        timers = {
            way: partial(passes, convolution, x.to(PRECISIONS[way[:4]]), weight.to(PRECISIONS[way[:4]]))
            for way, convolution in ways.items()
            if way[:4] in arguments.precision
        }
        with patch.multiple(fast, **everywhere):
            found = timing.alternate(timers, arguments.repeats)
        rows[name] = {}
        for way, times in found.items():
            cells = zip(zip(*times, strict=True), chosen(way, 1 if kind == "same" else 2, size), strict=True)
            rows[name][way] = [{**timing.quartiles(ms), "chosen": mark} for ms, mark in cells]
        rows[name]["GFLOP"] = timing.gflop(partial(ways["fp32: native"], x, weight))
    unit = f"Median milliseconds of one thread for {FRAMES} frames: forward / input gradient / weight gradient"
    timing.write(rows, {**here, "peak_gflops": peaks}, f"{unit}. Bold: used in training", arguments.json)


# ---- processes and ONNX Runtime ----

SENTENCE = "large red rubber cube at (-1.8, 1.5)"


def process_row(command: list[str], repeats: int) -> Row:
    """Time a process from start to end."""
    ms, mb = zip(*(timing.run_process([sys.executable, *command]) for _ in range(repeats)), strict=True)
    return {"ms": timing.quartiles(ms), "peak memory, MB": max(mb)}


def processes(arguments: argparse.Namespace) -> None:
    """Time `storygan --help` and `storygan generate`."""
    here, commands = timing.machine(), {"--help": [], "generate": [SENTENCE] * 4}
    with tempfile.TemporaryDirectory() as folder:
        commands["generate"].append(f"--out={folder}/story.png")
        rows = {
            f"storygan {name}": process_row(["-m", "storygan", name, *options], arguments.repeats)
            for name, options in commands.items()
        }
    timing.write(rows, here, MS, arguments.json)


START = {
    "PyTorch": "from storygan import StoryGAN; from storygan.models.accelerate import fuse_batch_norm; import torch\n"
    "torch.set_num_threads({threads}); fuse_batch_norm(StoryGAN.from_pretrained({model!r})).generate({story!r})",
    "ONNX Runtime": "import onnxruntime, numpy as np; options = onnxruntime.SessionOptions()\n"
    "options.intra_op_num_threads = {threads}; session = onnxruntime.InferenceSession({graph!r}, options)\n"
    "session.run(['frames'], {{i.name: np.zeros((1, *i.shape[1:]), np.float32) for i in session.get_inputs()}})",
}


def onnx(arguments: argparse.Namespace) -> None:
    """Time generation with PyTorch, with and without fused batch norm, and with ONNX Runtime."""
    import numpy as np
    import onnxruntime

    from storygan.export import INPUTS, export_onnx, random_inputs
    from storygan.models.noise import Noise
    from storygan.models.storygan import StoryGAN

    torch.set_flush_denormal(True)
    here, threads = {**timing.machine(), "onnxruntime": onnxruntime.__version__}, torch.get_num_threads()
    model = StoryGAN.from_pretrained(arguments.model)
    fused, rows = accelerate.fuse_batch_norm(model), {}
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        export_onnx(model, graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for stories in (64, 1):
            inputs = random_inputs(model, stories)
            S, *noise = (torch.from_numpy(inputs[name]) for name in INPUTS)
            calls = {
                "PyTorch": partial(fused.sample, S, Noise(*noise)),
                "PyTorch, batch norm not fused": partial(model.sample, S, Noise(*noise)),
                "ONNX Runtime": lambda inputs=inputs: session.run(["frames"], inputs)[0],
            }
            first, *others = (call().astype(int) for call in calls.values())
            assert all(np.abs(first - other).max() <= 1 for other in others), "they generate different frames"
            timers = {name: timing.clock(call) for name, call in calls.items()}
            found = timing.alternate(timers, arguments.repeats * (1 if stories > 1 else 16))
            rows[f"generate, stories: {stories}"] = timing.compare(found)
        values = {"threads": threads, "model": arguments.model, "graph": str(graph), "story": [SENTENCE] * S.shape[1]}
        for name, code in START.items():
            for column, value in process_row(["-c", code.format(**values)], min(arguments.repeats, 5)).items():
                rows.setdefault(f"process that loads the model and generates 1 story: {column}", {})[name] = value
    timing.write(rows, here, MS, arguments.json)


def only(rows: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the rows whose names contain `--only`."""
    if wanted := {name: row for name, row in rows.items() if arguments.only in name}:
        return wanted
    raise SystemExit(f"speed.py: no row {arguments.only!r}; there are: {'; '.join(rows)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for function, repeats in ((steps, 9), (convolutions, 9), (against, 11), (processes, 7), (onnx, 15), (gpu, 30)):
        one = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        one.set_defaults(function=function)
        one.add_argument("--json", type=Path, metavar="FILE", help="write all values to a file")
        one.add_argument("--repeats", type=int, default=repeats, help="turns (%(default)s)")
        one.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the processor (%(default)s)")
        if function not in (processes, onnx):
            one.add_argument("--only", default="", metavar="TEXT", help="rows whose names contain a text")
    add = {name: one.add_argument for name, one in commands.choices.items()}
    for name in ("steps", "convolutions", "gpu"):
        add[name]("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    add["steps"]("--reference", type=Path, metavar="PATH", help="a clone of github.com/yitong91/StoryGAN, to time")
    add["against"]("commit")
    add["against"]("--precision", choices=PRECISIONS, default="fp32", help="of this tree (%(default)s)")
    add["against"]("--precision-before", choices=PRECISIONS, help="of the other commit (that of this tree)")
    add["onnx"]("--model", default="clevr-sv", help="a shipped model or a model folder (%(default)s)")
    add["gpu"]("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: to see that the command works")
    add["gpu"]("--no-compile", action="store_true", help="without torch.compile, whose first runs take minutes")
    arguments = parser.parse_args()
    if arguments.command != "gpu" or arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(arguments.threads)
    arguments.function(arguments)


if __name__ == "__main__":
    main()
