"""Real processes that train together, as torchrun starts them, but forked: the package is imported once."""

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
from tests.faults.processes import SERVER, Command, _wait_at
from torch import nn

from storygan.config import TrainConfig

Call = Callable[[], "int | None"]
SECONDS = 120
"""That a process waits for the others in these tests."""


class Rank(Command):
    """One of the processes, which ends with what `call` returns.

    Args:
        environment: what torchrun tells it.
        waits_at: it waits at the end of this iteration until it is told to `go_on`.
    """

    def __init__(self, call: Call, environment: dict[str, str], log: Path, waits_at: int = 0) -> None:
        self.log = log
        self._here, self._on = SERVER.Event(), SERVER.Event()
        self.process = SERVER.Process(
            target=_main, args=(call, environment, log, (waits_at, self._here, self._on)), daemon=True
        )
        self.process.start()


def start(calls: Sequence[Call], folder: Path, waits_at: int = 0) -> list[Rank]:
    """A process for each call, on this machine."""
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
        Rank(call, {**shared, "RANK": str(n), "LOCAL_RANK": str(n)}, folder / f"log{n}", waits_at)
        for n, call in enumerate(calls)
    ]


def run_all(calls: Sequence[Call], folder: Path) -> tuple[list[int], list[list[str]]]:
    """Exit codes and lines of processes that end by themselves."""
    ranks = start(calls, folder)
    return [rank.end() for rank in ranks], [rank.said() for rank in ranks]


def command(arguments: list[str]) -> Call:
    """`storygan ARGUMENTS`."""
    return partial(_command, arguments)


def _command(arguments: list[str]) -> int:
    from storygan.cli import main

    return main(arguments)


def poisoned(arguments: list[str], iteration: int) -> Call:
    """`storygan ARGUMENTS`, and in one iteration this process's pictures are NaN."""
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
    """`storygan ARGUMENTS`, which saves and returns after so many iterations of the run."""
    return partial(_until, arguments, step)


def _until(arguments: list[str], step: int) -> int:
    from storygan.training import loop

    loop.train = partial(loop.train, until=step)  # type: ignore[assignment]
    return _command(arguments)


def iterate(config: TrainConfig, iterations: int, out: Path, exact: bool = False) -> Call:
    """Iterations without a run folder; OUT/RANK.pt then has `seen`, `gradients`, `metrics` and the `state`.

    Args:
        exact: in float64 and with norm layers in evaluation, so that parts of a batch make the whole.
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


def _main(call: Call, environment: dict[str, str], log: Path, meeting: tuple[int, Event, Event]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    if meeting[0]:
        _wait_at(*meeting)
    sys.exit(call())
