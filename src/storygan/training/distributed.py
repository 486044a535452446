"""The processes that train together, which `torchrun` or `fabric run` starts on one machine or several.

Each takes its part of every batch; gradients, batch norm's running statistics and metrics are averaged, so that all
hold the same networks after every update. The first alone writes. Where one ends, all do.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from storygan.config import TrainConfig
from storygan.cores import cores
from storygan.errors import AlreadyReported, StoryganError, UsageError

Value = TypeVar("Value")
OWN = ("run", "data", "threads", "timeout")
"""Fields of the configuration that may be other ones on another machine; the stories are compared themselves."""
PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""What Fabric calls them."""
COMPARED = 64
"""Stories whose sentence vectors are compared."""


class AveragedGradients(DDPStrategy):
    """Data parallelism without DDP's hooks: gradients are averaged where an optimizer takes its step.

    DDP's hooks expect forward and backward of a network in turns. Here a discriminator judges twice before its backward
    pass, is frozen while the generator's gradient goes through it, and R1 goes through it twice. One all_reduce a
    network computes the same and can be read; what is lost is that sending overlaps with computing.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(timeout=timedelta(seconds=config.timeout))
        self._run = config.run

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]  # that is the point
        return module

    def optimizer_step(self, optimizer: Any, **kwargs: Any) -> Any:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        return super().optimizer_step(optimizer, **kwargs)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the processes in each tensor, in place: as one tensor, sent once."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    # ---- all that is said between processes goes through these ----

    def setup_environment(self) -> None:
        with self._told_when_lost():
            super().setup_environment()

    def all_reduce(self, *args: Any, **kwargs: Any) -> Tensor:
        with self._told_when_lost():
            return super().all_reduce(*args, **kwargs)

    def all_gather(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Each process's tensor, without gradient; Fabric's own goes through a function torch has deprecated."""
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        with self._told_when_lost():
            distributed.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        with self._told_when_lost():
            return super().broadcast(obj, src)

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        with self._told_when_lost():
            super().barrier(*args, **kwargs)

    @contextmanager
    def _told_when_lost(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # gloo's, of a closed connection or after the timeout
            reason = " ".join(str(error).splitlines()[0].split())
            raise StoryganError(
                f"process {self.global_rank} of {self.world_size}, on {socket.gethostname()}, has lost the others and "
                f"ends ({reason}): look what they said; then go on with --resume {self._run}"
            ) from error


class Processes:
    """This process and those that train with it. On leaving it waits for them, unless something went wrong.

    Raises:
        UsageError: `torchrun` or `fabric run` was told what cannot be.
        StoryganError: the others did not come, or were lost.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        started = {name: int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
        self.number, here = started.values() if distributed.is_torchelastic_launched() else (1, 1)
        self.cores = max(1, cores() // here)
        """Of those that this process may use, its part."""
        if self.number % here:
            raise UsageError(f"{self.number} processes, {here} of them on this machine: give every machine as many")
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the processes in five lines
        try:
            self.fabric = (
                Fabric(accelerator="auto", devices=1, precision=PRECISIONS[config.precision])
                if self.number == 1
                else Fabric(
                    strategy=AveragedGradients(config),
                    devices=here,
                    num_nodes=self.number // here,
                    precision=PRECISIONS[config.precision],
                )
            )
        except ValueError as error:
            raise UsageError(" ".join(str(error).split())) from error
        if "LT_CLI_USED" not in os.environ:  # `fabric run` has launched it
            self.fabric.launch()
        self.rank: int = self.fabric.global_rank
        self.first = self.rank == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if self.number > 1:
            if kind is None:
                self.fabric.barrier()  # one that is gone first can cost another its last message
            distributed.destroy_process_group()

    def part(self, batch_size: int) -> slice:
        """Which stories of a batch are this process's; `check_fit` has seen that they can be shared out evenly."""
        share = batch_size // self.number
        return slice(self.rank * share, (self.rank + 1) * share)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the processes in each tensor, in place."""
        if isinstance(self.fabric.strategy, AveragedGradients):
            self.fabric.strategy.average(tensors)

    def most(self, value: int) -> int:
        """The largest of the processes' values."""
        return max(self._gathered(value))

    def _gathered(self, value: int) -> list[int]:
        """Each process's value; one alone asks no device for it."""
        if self.number == 1:
            return [value]
        return self.fabric.strategy.all_gather(torch.tensor([value], device=self.fabric.device)).flatten().tolist()

    def broadcast_from_first(self, value: Value) -> Value:
        """What the first process has for a value."""
        return self.fabric.broadcast(value)

    @contextmanager
    def sync_errors(self) -> Iterator[None]:
        """A block in which no process speaks with another, and at whose end each knows whether all are well.

        Raises:
            StoryganError: what the block raised, in the first process where it did.
            ToldElsewhere: in the others, so that one line is told and all have its exit code.
        """
        error = None
        try:
            yield
        except StoryganError as raised:
            error = raised
        codes = self._gathered(error.exit_code if error else 0)
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            self.fabric.barrier()
            raise error if error and self.rank == failed[0] else AlreadyReported(codes[failed[0]])

    def assert_synced(self, fingerprint: str, S: Tensor) -> None:
        """Raise UsageError where a process has other fields, stories or sentence vectors than the first."""
        fields = {name: value for name, value in self.config.to_dict().items() if name not in OWN}
        their_fields, their_fingerprint, their_S = self.broadcast_from_first((fields, fingerprint, S[:COMPARED]))
        other = [name for name, value in fields.items() if value != their_fields[name]]
        where = f"process {self.rank}, on {socket.gethostname()}, has"
        with self.sync_errors():
            if other:
                raise UsageError(f"{where} another {' and '.join(other)} than the first: give all the same options")
            if fingerprint != their_fingerprint:
                raise UsageError(f"{where} other stories in {self.config.data.path} than the first: copy them")
            if not torch.allclose(S[:COMPARED], their_S, atol=1e-3):
                raise UsageError(f"{where} another sentence encoder than the first: copy {self.config.run}/model to it")


def norms(network: nn.Module | None) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """The batch norms of a network."""
    return [m for m in (network.modules() if network else ()) if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def running_statistics(network: nn.Module | None) -> list[Tensor]:
    """What batch norm remembers of the batches, for drawing."""
    return [value for norm in norms(network) for value in (norm.running_mean, norm.running_var) if value is not None]
