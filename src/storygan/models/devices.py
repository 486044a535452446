"""Devices, and the precision of computations on them."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from storygan.errors import UsageError

Precision = Literal["fp32", "bf16", "auto"]


def find_device(name: str = "auto") -> torch.device:
    """Return a device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`, the accelerator if there is one.

    Raises:
        UsageError: this machine has no such device.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: give auto, cpu, cuda, cuda:1 or mps") from None
    here = device.type == "cpu" or (accelerator is not None and device.type == accelerator.type)
    if not here or (device.index or 0) >= (1 if device.type == "cpu" else torch.accelerator.device_count()):
        raise UsageError(f"there is no device {name}: this machine has cpu{f', {accelerator}' if accelerator else ''}")
    return device


def resolve_precision(precision: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """Return the precision to compute in. `auto`: bf16 where the hardware of the device computes it, otherwise fp32.

    Raises:
        UsageError: there is no such precision.
    """
    if precision not in get_args(Precision):
        raise UsageError(f"unknown precision {precision!r}: choose one of {', '.join(get_args(Precision))}")
    if precision != "auto":
        return precision
    return "bf16" if computes_bf16(device) else "fp32"


def computes_bf16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bf16 matrices: AMX of an Intel processor, or a GPU since Ampere."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # since PyTorch 2.10
    return device.type == "cpu" and bool(capabilities.get("amx_bf16"))


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
