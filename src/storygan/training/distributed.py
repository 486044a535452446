"""Data-parallel training: the processes that `torchrun` or `fabric run` starts on one machine or several.

Each process computes its part of every batch. Gradients, running statistics and metrics are averaged, so all processes
hold the same networks after every update. Only the main process writes files.
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
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from storygan.config import TrainConfig
from storygan.cores import cores
from storygan.errors import AlreadyReported, StoryganError, UsageError
from storygan.models.devices import find_device

Value = TypeVar("Value")
LOCAL_FIELDS = ("run", "data", "device", "threads", "timeout")
"""Fields of the configuration that may differ between machines; the stories themselves are compared."""


class BFloat16(MixedPrecision):
    """bf16 autocast. Without loss scaling, Fabric need not take part in backward passes, so `autograd.grad` works."""

    backward = Precision.backward


class AveragedGradients(DDPStrategy):
    """Data parallelism without DDP's hooks: gradients are averaged in the optimizer step.

    DDP expects alternating forward and backward passes of a network. Here a discriminator runs forward twice before its
    backward pass, is frozen while the generator's gradient passes through it, and R1 passes through it twice. One
    all_reduce per network computes the same, but does not overlap with computation.
    """

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]  # no DDP wrapper
        return module

    def optimizer_step(self, optimizer: Any, **kwargs: Any) -> Any:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        return super().optimizer_step(optimizer, **kwargs)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place, in one all_reduce."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def all_gather(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the tensors of all processes, stacked, without gradient; Fabric's own uses a deprecated function."""
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)


class Processes:
    """The processes that train together, and this one's place among them.

    Leaving the `with` block waits for the others, unless it is left by an error.

    Raises:
        UsageError: `torchrun` or `fabric run` got options that do not fit.
        StoryganError: the other processes did not start, or were lost.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.world_size, here = config.num_nodes * config.devices, config.devices
        if distributed.is_torchelastic_launched():
            self.world_size, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        self.cores = max(1, cores() // here)
        """This process's share of the cores."""
        if self.world_size % here:
            raise UsageError(f"{self.world_size} processes, {here} of them on this machine: give every machine as many")
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces each process
        device = find_device(config.device)
        first = here if device.index is None or here > 1 else [device.index]
        options: dict[str, Any] = {"accelerator": device.type, "devices": first}
        if self.world_size > 1:
            strategy = AveragedGradients(timeout=timedelta(seconds=config.timeout))
            options |= {"strategy": strategy, "num_nodes": self.world_size // here}
        if config.precision == "bf16":
            options["plugins"] = BFloat16("bf16-mixed", device.type)
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32
        try:
            self.fabric = Fabric(**options)
            if "LT_CLI_USED" not in os.environ:  # set by `fabric run`, which launches by itself
                self.fabric.launch()
        except ValueError as error:
            raise UsageError(" ".join(str(error).split())) from error
        except RuntimeError as error:
            if lost_error := self._lost(error):
                raise lost_error from error
            raise
        self.rank: int = self.fabric.global_rank
        self.is_main = self.rank == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if self.world_size == 1:
            return
        try:
            if error is None:
                self.fabric.barrier()  # a process that exits early can cost another its last message
        except RuntimeError as lost:
            error = lost
        distributed.destroy_process_group()
        if lost_error := self._lost(error):
            raise lost_error from error

    def _lost(self, error: BaseException | None) -> StoryganError | None:
        """Return the error to report for a closed connection, or for a wait longer than `timeout`; None: no such."""
        if not (isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))):
            return None
        return StoryganError(
            f"process {os.environ.get('RANK', 0)} of {self.world_size}, on {socket.gethostname()}, has lost the others "
            f"and ends ({' '.join(str(error).splitlines()[0].split())}): see their messages; then go on with --resume "
            f"{self.config.run}"
        )

    def part(self, batch_size: int) -> slice:
        """Return this process's part of a batch; `check_fit` requires that all parts are of one size."""
        size = batch_size // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place."""
        if isinstance(self.fabric.strategy, AveragedGradients):
            self.fabric.strategy.average(tensors)

    def all_reduce_max(self, value: int) -> int:
        """Return the largest of the processes' values."""
        return max(self._all_gather(value))

    def _all_gather(self, value: int) -> list[int]:
        if self.world_size == 1:  # without a transfer to the device
            return [value]
        return self.fabric.strategy.all_gather(torch.tensor([value], device=self.fabric.device)).flatten().tolist()

    def broadcast(self, value: Value) -> Value:
        """Return the main process's value."""
        return self.fabric.broadcast(value)

    @contextmanager
    def sync_errors(self) -> Iterator[None]:
        """End all processes where the block raises in one. The block itself must not communicate.

        Raises:
            StoryganError: what the block raised, in the first process where it did.
            AlreadyReported: in the others, with the same exit code.
        """
        error = None
        try:
            yield
        except StoryganError as raised:
            error = raised
        codes = self._all_gather(error.exit_code if error else 0)
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            self.fabric.barrier()
            raise error if error and self.rank == failed[0] else AlreadyReported(codes[failed[0]])

    def assert_synced(self, fingerprint: str, S: Tensor) -> None:
        """Compare configuration, data set fingerprint and sentence vectors with the main process's.

        Raises:
            UsageError: they differ.
        """
        fields = {name: value for name, value in self.config.to_dict().items() if name not in LOCAL_FIELDS}
        main_fields, main_fingerprint, main_S = self.broadcast((fields, fingerprint, S[:64]))
        differing = [name for name, value in fields.items() if value != main_fields[name]]
        where = f"process {self.rank}, on {socket.gethostname()}, has"
        with self.sync_errors():
            if differing:
                raise UsageError(f"{where} another {' and '.join(differing)} than the first: give all the same options")
            if fingerprint != main_fingerprint:
                raise UsageError(f"{where} other stories in {self.config.data.path} than the first: copy them")
            if not torch.allclose(S[:64], main_S, atol=1e-3):
                raise UsageError(f"{where} another sentence encoder than the first: copy {self.config.run}/model to it")


def batch_norms(network: nn.Module | None) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """Return the batch norm layers of a network."""
    return [m for m in (network.modules() if network else ()) if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def running_statistics(network: nn.Module | None) -> list[Tensor]:
    """Return the running means and variances of a network's batch norm layers."""
    layers = batch_norms(network)
    return [value for layer in layers for value in (layer.running_mean, layer.running_var) if value is not None]
