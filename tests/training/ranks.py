"""Real processes that train together, as torchrun starts them, but forked after the imports."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from tests.faults.processes import SERVER, Command, _pause_at
from torch import nn

from storygan.config import TrainConfig

Call = Callable[[], "int | None"]
SECONDS = 120
"""Timeout of the processes in these tests."""


class Rank(Command):
    """One of the processes; its exit code is what `call` returns.

    Args:
        call: what the process runs.
        environment: the variables that torchrun sets.
        log: file of its output.
        pause_at: iteration at whose end it waits for `resume`.
    """

    def __init__(self, call: Call, environment: dict[str, str], log: Path, pause_at: int = 0) -> None:
        self.log = log
        self._paused, self._resumed = SERVER.Event(), SERVER.Event()
        self.process = SERVER.Process(
            target=_main, args=(call, environment, log, (pause_at, self._paused, self._resumed)), daemon=True
        )
        self.start()


def start(calls: Sequence[Call], folder: Path, pause_at: int = 0) -> list[Rank]:
    """Start one process per call on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": str(len(calls)),
        "LOCAL_WORLD_SIZE": str(len(calls)),
    }
    folder.mkdir(exist_ok=True)
    return [
        Rank(call, {**shared, "RANK": str(n), "LOCAL_RANK": str(n)}, folder / f"log{n}", pause_at)
        for n, call in enumerate(calls)
    ]


def run_all(calls: Sequence[Call], folder: Path) -> tuple[list[int], list[list[str]]]:
    """Return exit codes and output lines of processes that end by themselves."""
    ranks = start(calls, folder)
    return [rank.end() for rank in ranks], [rank.output() for rank in ranks]


def command(arguments: list[str]) -> Call:
    """Run `storygan ARGUMENTS`."""
    return partial(_command, arguments)


def _command(arguments: list[str]) -> int:
    from storygan.cli import main

    return main(arguments)


def poisoned(arguments: list[str], iteration: int) -> Call:
    """Run `storygan ARGUMENTS`, with NaN frames in one iteration of this process."""
    return partial(_poisoned, arguments, iteration)


def _poisoned(arguments: list[str], iteration: int) -> int:
    from storygan.training.batches import BatchLoader

    load, calls = BatchLoader.load, []

    def poisoned_load(loader: BatchLoader, k: int, part: slice) -> object:
        batch = load(loader, k, part)
        calls.append(1)
        if len(calls) == iteration:
            batch.X[:] = float("nan")
        return batch

    BatchLoader.load = poisoned_load  # type: ignore[assignment, method-assign]
    return _command(arguments)


def until(arguments: list[str], step: int) -> Call:
    """Run `storygan ARGUMENTS`, and save and return after `step` iterations of the run."""
    return partial(_until, arguments, step)


def _until(arguments: list[str], step: int) -> int:
    from storygan.training import loop

    loop.train = partial(loop.train, until=step)  # type: ignore[assignment]
    return _command(arguments)


def iterate(config: TrainConfig, iterations: int, out: Path, exact: bool = False) -> Call:
    """Run iterations without a run folder, and save `seen`, `gradients`, `metrics` and `state` to OUT/RANK.pt.

    Args:
        config: of the run.
        iterations: their number.
        out: folder.
        exact: use float64 and norm layers in evaluation mode, so that gradients of parts add up to the batch's.
    """
    return partial(_iterate, config, iterations, out, exact)


def _iterate(config: TrainConfig, iterations: int, out: Path, exact: bool) -> None:
    from storygan.data.dataset import open_split
    from storygan.training.batches import Batch, BatchLoader
    from storygan.training.distributed import Processes
    from storygan.training.loop import StageTrainer, iteration
    from storygan.training.stage_folder import initial_weights
    from storygan.training.trainer import Experiment

    seen, load, set_modes = [], BatchLoader.load, StageTrainer.set_modes

    def seen_load(loader: BatchLoader, k: int, part: slice) -> Batch:
        batch = load(loader, k, part)
        seen.append(batch.story_idx)
        batch.X, batch.S = batch.X.to(dtype), batch.S.to(dtype)
        return batch

    def exact_modes(trainer: StageTrainer) -> None:
        set_modes(trainer)
        for network in trainer.nets.each().values():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()

    BatchLoader.load = seen_load  # type: ignore[method-assign]
    if exact:
        StageTrainer.set_modes = exact_modes  # type: ignore[method-assign]
    torch.set_default_dtype(dtype := torch.float64 if exact else torch.float32)
    torch.set_num_threads(1)
    with Processes(config) as processes:
        experiment = Experiment.build(config, open_split(config.data.path, "train"), processes)
        trainer = StageTrainer(experiment, 0, initial_weights(config))
        metrics = [iteration(trainer) for _ in range(iterations)]
        gradients = {
            f"{name}.{key}": parameter.grad
            for name, network in trainer.nets.each().items()
            for key, parameter in network.named_parameters()
        }
        torch.save(
            {"seen": seen, "metrics": metrics, "gradients": gradients, "state": trainer.state_dict()},
            out / f"{processes.rank}.pt",
        )


def _main(call: Call, environment: dict[str, str], log: Path, pause: tuple[int, Event, Event]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    if pause[0]:
        _pause_at(*pause)
    sys.exit(call())
