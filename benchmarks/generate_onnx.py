"""Time generation with PyTorch and onnxruntime: python benchmarks/generate_onnx.py [--model M] [--threads 2].

Methods: `torch`, the model as trained; `fused`, with fused batch norm and transformed kernels, as `generate` uses it;
`onnxruntime`, the exported graph. All generate uint8 frames from the same sentence vectors and noise.
The methods alternate; the ratio is the median over rounds. `start` times a process that imports, loads the file and
generates one story. Run it on an idle machine.
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


def generators(model: StoryGAN, graph: Path, stories: int, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """Return functions by method that generate `stories` stories as uint8 frames."""
    inputs = random_inputs(model, stories)
    S, eps_0, eps, g_0 = (torch.from_numpy(inputs[name]) for name in INPUTS)
    noise, fused = Noise(eps_0, eps, g_0), fuse_batch_norm(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return {
        "torch": lambda: model.sample(S, noise),
        "fused": lambda: fused.sample(S, noise),
        "onnxruntime": lambda: session.run(["frames"], inputs)[0],
    }


def time_rounds(calls: dict[str, Callable[[], np.ndarray]], rounds: int) -> dict[str, dict[str, float]]:
    """Return median milliseconds by method, and the median ratio to `fused` over rounds."""
    first = {method: call().astype(int) for method, call in calls.items()}  # also warms up
    assert all(np.abs(first[method] - first["fused"]).max() <= 1 for method in calls), "the frames differ"
    seconds: dict[str, list[float]] = {method: [] for method in calls}
    for n in range(rounds):
        for method in sorted(calls, reverse=bool(n % 2)):
            start = time.perf_counter()
            calls[method]()
            seconds[method].append(time.perf_counter() - start)
    ratios = {method: [a / b for a, b in zip(seconds[method], seconds["fused"], strict=True)] for method in calls}
    return {
        method: {"ms": 1e3 * statistics.median(seconds[method]), "of_fused": statistics.median(ratios[method])}
        for method in calls
    }


def start(code: str) -> dict[str, float]:
    """Return milliseconds (median of 5) and peak resident MB of a Python process that runs the code."""
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
    parser.add_argument("--rounds", type=int, default=15)
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
            found[f"generate_{stories}"] = time_rounds(
                generators(model, graph, stories, arguments.threads), arguments.rounds * (64 if stories == 1 else 1)
            )
        values = {
            "threads": arguments.threads,
            "model": arguments.model,
            "graph": str(graph),
            "story": [STORY] * model.config.T,
        }
        found["start"] = {method: start(code.format(**values)) for method, code in START.items()}
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, **found}))
        return
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{arguments.threads} threads, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {memory} MB")
    for name, methods in found.items():
        for method, numbers in methods.items():
            print(f"{name:9} {method:12}" + "".join(f"{key:>11} {value:9.2f}" for key, value in numbers.items()))


if __name__ == "__main__":
    main()
