"""Measure training and generation speed: python benchmarks/speed.py [--only NAME] [--json].

Each row has the median seconds with quartiles, the GFLOP that PyTorch counts (convolutions and matrix products; a
multiply-add is two), and the achieved GFLOP/s beside the peak of a large fp32 matrix product in the same run. `floor`
is the time at that peak. `in products` is the share of time that PyTorch's profiler finds in convolutions and matrix
products. Run it on an idle machine; ratios within one run are more reliable than seconds.

`--against COMMIT` instead times this tree and COMMIT's alternately (benchmarks/ab_timing.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import torch
import yaml
from ab_timing import against
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from storygan.config import (
    DataConfig,
    GeneratorConfig,
    GeneratorLoss,
    ImageDiscriminatorConfig,
    ImageDiscriminatorLoss,
    StageConfig,
    StoryDiscriminatorConfig,
    StoryDiscriminatorLoss,
    TrainConfig,
)
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.models import accelerate as winograd
from storygan.models.accelerate import fuse_batch_norm, tune_malloc
from storygan.models.noise import Noise
from storygan.training import steps
from storygan.training.batches import Batch
from storygan.training.distributed import Processes
from storygan.training.loop import iteration
from storygan.training.networks import frozen
from storygan.training.stage_folder import initial_weights
from storygan.training.trainer import Experiment, StageTrainer

B = 16
STAGES = {
    "reconstruction": StageConfig(batch_size=B, G=GeneratorConfig(loss=GeneratorLoss(mse=1, L_KL=0.01))),
    "adversarial": StageConfig(
        batch_size=B,
        mismatched=True,
        D_I=ImageDiscriminatorConfig(loss=ImageDiscriminatorLoss(L_image=1)),
        D_S=StoryDiscriminatorConfig(loss=StoryDiscriminatorLoss(L_story=1)),
        G=GeneratorConfig(loss=GeneratorLoss(L_image=1, L_story=1, L_KL=1)),
    ),
}
STORY = "large red rubber cube at (-1.8, 1.5)"
PRODUCTS = re.compile(r"convolution|aten::(_convolution|mkldnn_convolution|convolution_backward|addmm|mm|bmm|baddbmm)")


@dataclass
class Row:
    """One measurement."""

    median_s: float
    low_s: float
    high_s: float
    gflop: float
    gflops: float
    peak_gflops: float
    floor_s: float
    note: str = ""
    peak_mb: int = 0
    """Peak of the process, if the row has its own process; else 0."""


def timed(call: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of the seconds of a call, after one warm-up call."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    low, median, high = statistics.quantiles(seconds, n=4)
    return low, median, high


def arithmetic(call: Callable[[], object]) -> float:
    """Count the GFLOP of one call with PyTorch."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def share_in_products(call: Callable[[], object]) -> float:
    """Return the share of a call's time in convolutions and matrix products, by PyTorch's profiler.

    Winograd convolutions count with their layout changes, forward and backward, as PyTorch's own do.
    """
    call()
    marked = {name: record_function("convolution")(getattr(winograd, name)) for name in ("conv2d", "conv_transpose2d")}
    with patch.multiple(winograd, **marked), profile(activities=[ProfilerActivity.CPU]) as profiler:
        call()
    events = list(profiler.events())

    def within(event: FunctionEvent | None, found: Callable[[FunctionEvent], bool]) -> bool:
        return event is not None and (found(event) or within(event.cpu_parent, found))

    forward = {event.sequence_nr for event in events if within(event, lambda e: e.name == "convolution")} - {-1}

    def product(event: FunctionEvent) -> bool:
        backward = event.name.startswith("autograd::engine") and event.sequence_nr in forward
        return backward or bool(PRODUCTS.fullmatch(event.name))

    counted = sum(event.self_cpu_time_total for event in events if within(event, product))
    return counted / sum(event.self_cpu_time_total for event in events)


def peak_gflops(n: int = 2048) -> float:
    """Return the GFLOP/s of an n x n fp32 matrix product, the best of 10."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best / 1e9


class Bench:
    """The trainers of each stage on the shipped sample, and a batch."""

    def __init__(self, folder: Path) -> None:
        torch.set_flush_denormal(True)
        self.data = str(folder / "sample")
        write_sample(self.data)
        self.config = TrainConfig(data=DataConfig(self.data), stages=STAGES)
        dataset = open_split(self.data, "train")
        self.experiment = Experiment.build(self.config, dataset, Processes(self.config))
        start = initial_weights(self.config)
        self.reconstruction, self.trainer = (StageTrainer(self.experiment, n, start) for n in range(len(STAGES)))
        self.batch = self.load()
        self.fused = fuse_batch_norm(self.trainer.model)
        self.noise = Noise.sample(B, self.config.model, torch.Generator().manual_seed(0))

    def load(self) -> Batch:
        return self.trainer.loader.load(0, slice(None))

    def fake(self) -> steps.Generated:
        return steps.generate(self.trainer.nets, self.batch, self.noise)

    def update(self, name: str, fake: steps.Generated) -> None:
        """Run one network's part of an adversarial iteration."""
        t = self.trainer
        network = t.stage.learning()[name]
        with frozen(*t.nets.others(name)):
            terms = steps.LOSSES[name](t.nets, self.batch, fake, network.loss, t.stage, 1)
            weights = vars(network.loss)
            t.optimizers[name].zero_grad()
            t.processes.fabric.backward(sum(weights[term] * terms[term] for term in weights if term in terms))
            t.optimizers[name].step()

    def generate(self, n: int) -> object:
        tune_malloc()  # as `storygan generate` does; rows of training come before
        S = self.experiment.S[:1].expand(n, -1, -1)
        noise = Noise.sample(n, self.config.model, torch.Generator().manual_seed(0))
        return self.fused.sample(S, noise)

    def calls(self) -> dict[str, tuple[Callable[[], object], int, str]]:
        """Return by name the function to time, the number of repeats, and a note."""
        fake = self.fake()
        return {
            "train_iteration": (partial(iteration, self.trainer), 9, f"{B} stories, mismatched pairs"),
            "part_generate": (self.fake, 9, "step 1, forward"),
            "part_update_D_I": (lambda: self.update("D_I", fake), 9, "step 2"),
            "part_update_D_S": (lambda: self.update("D_S", fake), 9, "step 2"),
            "part_generate_update_G": (lambda: self.update("G", self.fake()), 9, "steps 1 and 3"),
            "reconstruction_iteration": (partial(iteration, self.reconstruction), 9, f"{B} stories, G alone"),
            "load_batch": (self.load, 50, f"{B} stories from the memory map"),
            "generate_1": (lambda: self.generate(1), 20, "one story, 4 frames"),
            "generate_64": (lambda: self.generate(64), 9, "64 stories, 256 frames"),
        }


def command(*arguments: str) -> tuple[float, int]:
    """Run a storygan command in its own process; return seconds and peak resident MB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "storygan", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"storygan {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss // 1024


def process_rows(bench: Bench, folder: Path, peak: float) -> dict[str, Callable[[], Row]]:
    """Return functions that measure the rows of a whole process, by name."""

    def start_up(*arguments: str, gflop: float = 0.0) -> Row:
        seconds, mb = zip(*(command(*arguments) for _ in range(7)), strict=True)
        low, median, high = statistics.quantiles(seconds, n=4)
        note = f"a process from start to end; peak memory {max(mb)} MB"
        return Row(median, low, high, gflop, gflop / median, peak, gflop / peak, note, max(mb))

    def end_to_end(few: int = 4, many: int = 16) -> Row:
        recipe = folder / "adversarial.yaml"
        stages = {"adversarial": STAGES["adversarial"]}
        content = replace(bench.config, stages=stages, checkpoint_every=1000, sample_every=1000).to_dict()
        recipe.write_text(yaml.safe_dump(content))
        seconds, peak_mb = [], 0
        for repeat in range(3):
            took = {}
            for n in (few, many):
                options = [f"--stages.adversarial.iterations={n}", f"--run={folder / f'{n}-{repeat}'}"]
                took[n], mb = command("train", str(recipe), *options)
                peak_mb = max(peak_mb, mb)
            seconds.append((took[many] - took[few]) / (many - few))
        low, each, high = sorted(seconds)
        gflop = arithmetic(partial(iteration, bench.trainer))
        note = f"{B / each:.1f} stories/s; peak memory {peak_mb} MB; of 3, the lowest and the highest"
        return Row(each, low, high, gflop, gflop / each, peak, gflop / peak, note, peak_mb)

    story = str(folder / "story.png")
    return {
        "train_end_to_end": end_to_end,
        "startup_help": lambda: start_up("--help"),
        "startup_generate": lambda: start_up(
            "generate", *[STORY] * 4, "--out", story, gflop=arithmetic(lambda: bench.generate(1))
        ),
    }


def measure(only: str | None) -> dict[str, Row]:
    """Measure all rows, or the one named."""
    peak = peak_gflops()
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(folder)
        calls, processes = bench.calls(), process_rows(bench, folder, peak)
        if only is not None and only not in (*calls, *processes):
            raise SystemExit(f"no row {only!r}: choose one of {', '.join((*calls, *processes))}")
        for row, (call, repeats, note) in calls.items():
            if only in (None, row):
                low, median, high = timed(call, repeats)
                gflop = arithmetic(call)
                note += f"; {share_in_products(call):.0%} in products"
                rows[row] = Row(median, low, high, gflop, gflop / median, peak, gflop / peak, note)
        for row, measure_row in processes.items():
            if only in (None, row):
                rows[row] = measure_row()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one row")
    parser.add_argument("--json", action="store_true", help="print JSON in the last line")
    parser.add_argument("--against", metavar="COMMIT", help="A/B timing against a commit")
    arguments = parser.parse_args()
    if arguments.against:
        print(json.dumps(against(arguments.against, peak_gflops()), indent=None if arguments.json else 2))
        return
    rows = measure(arguments.only)
    if arguments.json:
        print(json.dumps({name: asdict(row) for name, row in rows.items()}))
        return
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, peak of this process "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )
    print(
        f"{'row':24} {'median ms':>10} {'quartiles':>17} {'GFLOP':>8} {'GFLOP/s':>8} {'peak':>6} {'floor ms':>9}  note"
    )
    for name, row in rows.items():
        print(
            f"{name:24} {row.median_s * 1e3:10.1f} {row.low_s * 1e3:8.1f}-{row.high_s * 1e3:8.1f} {row.gflop:8.1f} "
            f"{row.gflops:8.0f} {row.peak_gflops:6.0f} {row.floor_s * 1e3:9.1f}  {row.note}"
        )


if __name__ == "__main__":
    main()
