"""A/B timing of two commits, each in its own process; `speed.py --against COMMIT` runs it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from storygan.data.sample import write_sample

ROUNDS = {"train_iteration": 12, "generate_64": 12, "generate_1": 24}
DISCARDED = 2  # rounds at the start
CODE = """
import json, sys, time, torch
from torch.utils.flop_counter import FlopCounterMode
torch.set_flush_denormal(True)
from storygan.config import *
from storygan.data.dataset import open_split
from storygan.models.noise import Noise
try:
    from storygan.models.accelerate import fuse_batch_norm, tune_malloc
except ImportError:  # before version 0.2
    try:
        from storygan.models.folding import fold as fuse_batch_norm
    except ImportError:
        fuse_batch_norm = lambda model: model
    try:
        from storygan.models.memory import keep_memory as tune_malloc
    except ImportError:
        tune_malloc = lambda: None
data, dataset = DataConfig(sys.argv[1]), open_split(sys.argv[1], "train")
try:
    from storygan.training.trainer import Experiment, StageTrainer
except ImportError:  # version 0.1 had no stages
    from storygan.training.loop import Trainer
    config = TrainConfig(data=data, batch_size=16, loss=LossConfig(mismatched=True))
    trainer = Trainer.build(config, dataset)
    S, iteration = trainer.S, Trainer.iteration
else:
    from storygan.training.loop import iteration
    from storygan.training.distributed import Processes
    from storygan.training.stage_folder import initial_weights
    stage = StageConfig(
        mismatched=True,
        D_I=ImageDiscriminatorConfig(loss=ImageDiscriminatorLoss(L_image=1)),
        D_S=StoryDiscriminatorConfig(loss=StoryDiscriminatorLoss(L_story=1)),
        G=GeneratorConfig(loss=GeneratorLoss(L_image=1, L_story=1, L_KL=1)),
    )
    config = TrainConfig(data=data, stages={"adversarial": stage})
    experiment = Experiment.build(config, dataset, Processes(config))
    trainer, S = StageTrainer(experiment, 0, initial_weights(config)), experiment.S
fused = fuse_batch_norm(trainer.model)
def generate(n):
    if timing:
        tune_malloc()
    noise = Noise.sample if hasattr(Noise, "sample") else Noise.draw
    sample = fused.sample if hasattr(fused, "sample") else fused.draw
    return sample(S[:1].expand(n, -1, -1), noise(n, config.model, torch.Generator().manual_seed(0)))
def iterate():
    return {name: value.item() for name, value in iteration(trainer).items()}
calls = {"train_iteration": iterate, "generate_1": lambda: generate(1), "generate_64": lambda: generate(64)}
gflop, losses, timing = {}, {}, False
for name, call in calls.items():
    with FlopCounterMode(display=False) as counter:
        result = call()
    gflop[name] = counter.get_total_flops() / 1e9
    losses = losses or result
print(json.dumps({"gflop": gflop, "losses": losses}), flush=True)
timing = True
for line in sys.stdin:
    start = time.perf_counter()
    calls[line.strip()]()
    print(time.perf_counter() - start, flush=True)
"""


class Tree:
    """A process that runs calls of a commit's code on request."""

    def __init__(self, source: Path, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(data)],
            env={**os.environ, "PYTHONPATH": str(source)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Read the next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def seconds(self, call: str) -> float:
        """Run a call and return its seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{call}\n")
        self.process.stdin.flush()
        return float(self.line())


def against(commit: str, peak_gflops: float) -> dict[str, object]:
    """Time training and generation of COMMIT and of this tree alternately, on the same batches and noise."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "sample")
        subprocess.run(["git", "worktree", "add", "--detach", "-f", folder / "tree", commit], cwd=root, check=True)
        trees: list[Tree] = []
        try:
            trees += [Tree(source / "src", folder / "sample") for source in (folder / "tree", root)]
            first = [tree.line() for tree in trees]
            if not all(first):
                raise SystemExit(f"{commit} has no training loop that this script knows (b1e8816 is the first)")
            pairs = {name: time_rounds(trees, name, n) for name, n in ROUNDS.items()}
        finally:
            for tree in trees:
                tree.process.kill()
            subprocess.run(["git", "worktree", "remove", "--force", folder / "tree"], cwd=root, check=True)
    before, after = (json.loads(line) for line in first)
    return {
        "commits": [commit, git(root, "describe", "--always", "--dirty")],
        "threads": os.cpu_count(),
        "peak_gflops": peak_gflops,
        "rows": {name: row(pairs[name], before["gflop"][name], after["gflop"][name], peak_gflops) for name in ROUNDS},
        "losses of the first iteration": {
            name: [before["losses"].get(name), after["losses"].get(name)] for name in before["losses"] | after["losses"]
        },
    }


def time_rounds(trees: list[Tree], call: str, n: int) -> list[list[float]]:
    """Return [before, after] seconds of n rounds; the order alternates."""
    pairs = []
    for k in range(n):
        order = (0, 1) if k % 2 else (1, 0)
        seconds = {which: trees[which].seconds(call) for which in order}
        pairs.append([seconds[0], seconds[1]])
    return pairs[DISCARDED:]


def row(pairs: list[list[float]], gflop_before: float, gflop_after: float, peak: float) -> dict[str, float]:
    """Return medians, and the median ratio of pairs with its quartiles."""
    low, ratio, high = statistics.quantiles([before / after for before, after in pairs], n=4)
    return {
        "before_s": statistics.median(before for before, _ in pairs),
        "after_s": statistics.median(after for _, after in pairs),
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
        "before_gflop": gflop_before,
        "after_gflop": gflop_after,
        "before_floor_s": gflop_before / peak,
        "after_floor_s": gflop_after / peak,
    }


def git(root: Path, *arguments: str) -> str:
    """Return the output of a git command."""
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
