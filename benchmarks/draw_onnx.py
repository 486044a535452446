"""Drawing with PyTorch and with onnxruntime, in turns: python benchmarks/draw_onnx.py [--model M] [--threads 2].

Rows: `torch`, the model as it is trained; `folded`, batch norm folded and kernels worked out once, as `generate` draws;
`onnxruntime`, the exported graph. Each draws the same stories from the same sentence vectors and noise, and ends with
uint8 frames in numpy. Calls take turns, so that a machine whose load changes is unfair to none; the ratio is the median
of the ratios within a turn. `start` is a process of its own that imports, loads the file and draws one story. Run it on
an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import numpy as np
import onnxruntime
import torch

from storygan.export import INPUTS, export_onnx, random_inputs
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

START = {
    "torch": "from storygan import StoryGAN; from storygan.models.accelerate import fuse_batch_norm; import torch\n"
    "torch.set_num_threads({threads}); fuse_batch_norm(StoryGAN.from_pretrained({model!r})).generate({story!r})",
    "onnxruntime": "import onnxruntime, numpy as np; options = onnxruntime.SessionOptions()\n"
    "options.intra_op_num_threads = {threads}; session = onnxruntime.InferenceSession({graph!r}, options)\n"
    "session.run(['frames'], {{i.name: np.zeros((1, *i.shape[1:]), np.float32) for i in session.get_inputs()}})",
}
STORY = "large red rubber cube at (-1.8, 1.5)"


def drawers(model: StoryGAN, graph: Path, stories: int, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """Row -> a call that draws `stories` stories as uint8 frames."""
    inputs = random_inputs(model, stories)
    S, eps_0, eps, g_0 = (torch.from_numpy(inputs[name]) for name in INPUTS)
    noise, folded = Noise(eps_0, eps, g_0), fuse_batch_norm(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return {
        "torch": lambda: model.sample(S, noise),
        "folded": lambda: folded.sample(S, noise),
        "onnxruntime": lambda: session.run(["frames"], inputs)[0],
    }


def take_turns(calls: dict[str, Callable[[], np.ndarray]], turns: int) -> dict[str, dict[str, float]]:
    """Row -> median milliseconds, and the median over turns of the time relative to `folded`."""
    first = {row: call().astype(int) for row, call in calls.items()}  # also warms up
    assert all(np.abs(first[row] - first["folded"]).max() <= 1 for row in calls), "they draw different pictures"
    seconds: dict[str, list[float]] = {row: [] for row in calls}
    for turn in range(turns):
        for row in sorted(calls, reverse=bool(turn % 2)):
            start = time.perf_counter()
            calls[row]()
            seconds[row].append(time.perf_counter() - start)
    ratios = {row: [a / b for a, b in zip(seconds[row], seconds["folded"], strict=True)] for row in calls}
    return {
        row: {"ms": 1e3 * statistics.median(seconds[row]), "of_folded": statistics.median(ratios[row])} for row in calls
    }


def start(code: str) -> dict[str, float]:
    """Seconds (median of 5) and peak resident MB of a Python process that runs the code."""
    code += "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    seconds, peak = [], 0
    for _ in range(5):
        began = time.perf_counter()
        kilobytes = subprocess.check_output([sys.executable, "-c", code], text=True)
        seconds.append(time.perf_counter() - began)
        peak = max(peak, int(kilobytes) // 1024)
    return {"ms": 1e3 * statistics.median(seconds), "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-sv", help="a shipped model or a model folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    model = StoryGAN.from_pretrained(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        export_onnx(model, graph)
        found: dict[str, dict[str, dict[str, float]]] = {}
        for stories in (64, 1):
            found[f"draw_{stories}"] = take_turns(
                drawers(model, graph, stories, arguments.threads), arguments.turns * (64 if stories == 1 else 1)
            )
        values = {
            "threads": arguments.threads,
            "model": arguments.model,
            "graph": str(graph),
            "story": [STORY] * model.config.T,
        }
        found["start"] = {row: start(code.format(**values)) for row, code in START.items()}
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, **found}))
        return
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{arguments.threads} threads, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {memory} MB")
    for name, rows in found.items():
        for row, values_of_row in rows.items():
            print(f"{name:9} {row:12}" + "".join(f"{key:>11} {value:9.2f}" for key, value in values_of_row.items()))


if __name__ == "__main__":
    main()
