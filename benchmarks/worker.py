"""Build training iterations and generation, and time them, for speed.py: python benchmarks/worker.py SETTINGS.

The code that is timed is that on PYTHONPATH, which may be another commit's: names of older versions are known. A line
of stdin is the JSON of a row, a configuration of one stage and with `generate` the number of stories to generate; or
it is `null`, to time the present row. Each answer is a line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timing import clock, gflop, memory

from storygan.config import TrainConfig
from storygan.data.dataset import open_split
from storygan.models.noise import Noise

try:
    from storygan.models.accelerate import fuse_batch_norm, tune_malloc
except ImportError:  # before version 0.2
    fuse_batch_norm, tune_malloc = (lambda model: model), (lambda: None)
    with suppress(ImportError):
        from storygan.models.folding import fold as fuse_batch_norm
    with suppress(ImportError):
        from storygan.models.memory import keep_memory as tune_malloc

SETTINGS = json.loads(sys.argv[1])


def build_trainer(values: dict[str, Any]) -> tuple[Any, Callable[[], Any]]:
    """Return the trainer of a configuration of one stage, and a call of its iteration."""
    data, dataset = {"path": SETTINGS["data"]}, open_split(SETTINGS["data"], "train")
    if SETTINGS["precision"] != "fp32":  # older versions have no such field
        values = {**values, "precision": SETTINGS["precision"]}
    try:
        from storygan.training.trainer import Experiment, StageTrainer
    except ImportError:  # version 0.1 had no stages, and the paper's loss alone is the same
        from storygan.training.loop import Trainer

        (stage,) = values["stages"].values()
        if set(values) != {"stages"} or set(stage) != {"batch_size", "mismatched", "D_I", "D_S", "G"}:
            raise ValueError("version 0.1 has no such stage") from None
        values = {"batch_size": stage["batch_size"], "loss": {"mismatched": stage["mismatched"]}}
        trainer = Trainer.build(TrainConfig.from_dict({"data": data, **values}), dataset)
        return trainer, trainer.iteration
    from storygan.training import stage_folder
    from storygan.training.loop import iteration

    try:
        from storygan.training.distributed import Processes
    except ImportError:
        from storygan.training.processes import Processes
    config = TrainConfig.from_dict({"data": data, **values})
    initial_weights = getattr(stage_folder, "initial_weights", None) or stage_folder.first_start
    experiment = Experiment.build(config, dataset, Processes(config))
    trainer = StageTrainer(experiment, 0, initial_weights(config))
    trainer.S = experiment.S
    return trainer, partial(iteration, trainer)


def generation(trainer: Any, stories: int) -> Callable[[], Any]:
    """Return a call that generates stories with the model of a trainer."""
    tune_malloc()  # as `storygan generate` does
    model, S = fuse_batch_norm(trainer.model), trainer.S[:1].expand(stories, -1, -1)
    noise = (getattr(Noise, "sample", None) or Noise.draw)(stories, trainer.config.model, torch.Generator())
    if SETTINGS["precision"] == "bf16":
        model.to(torch.bfloat16)
    if SETTINGS.get("compile"):
        model.compile()
    return partial(getattr(model, "sample", None) or model.draw, S, noise)


def build(values: dict[str, Any]) -> tuple[Callable[[], float], dict[str, Any]]:
    """Return the timer of a row, and what its first runs show: losses, GFLOP, peak memory in MB."""
    cuda, stories, losses, compiled = torch.cuda.is_available(), values.pop("generate", 0), {}, SETTINGS.get("compile")
    trainer, call = build_trainer(values)
    if stories:
        call = generation(trainer, stories)
    elif compiled:
        for network in trainer.nets.each().values():
            getattr(network, "module", network).compile()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    found = call()
    if not stories:
        losses = {name: float(value) for name, value in found.items()}
    work = 0.0 if compiled else gflop(call)
    peak = torch.cuda.max_memory_allocated() / 1e6 if cuda else memory()["VmHWM"]
    return clock(call), {"losses": losses, "GFLOP": work, "peak_mb": peak}


def main() -> None:
    torch.set_flush_denormal(True)
    torch.set_num_threads(SETTINGS["threads"])
    timer: Any = None
    for line in sys.stdin:
        try:
            if row := json.loads(line):
                timer = None  # frees the row before
                timer, answer = build(row)
            else:
                answer = timer()
        except Exception as error:  # a row that this version does not have
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
