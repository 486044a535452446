"""Devices and the precision of computations."""

from __future__ import annotations

from typing import Literal

import torch


def resolve_precision(precision: Literal["fp32", "bf16", "auto"], device: str = "cpu") -> Literal["fp32", "bf16"]:
    """Return the precision to compute in. `auto`: bf16 where the hardware of a device computes it, otherwise fp32."""
    if precision != "auto":
        return precision
    return "bf16" if computes_bf16(torch.device(device)) else "fp32"


def computes_bf16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bf16 matrices: AMX of an Intel processor, or a GPU since Ampere."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # PyTorch 2.10
    return device.type == "cpu" and bool(capabilities.get("amx_bf16"))
