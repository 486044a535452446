"""What a checkpoint's parts must be before they are taken: fused Adam trusts shapes, and writes where they say.

Each function raises ValueError unless the saved state could be the part's own; a RuntimeError of torch says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from storygan.training.checkpoint import not_finite


def fitting(part: Any, saved: Any, name: str) -> dict[str, Any]:
    """A saved state that a network or an Adam can load."""
    if isinstance(part, nn.Module):
        return tensors_like(part.state_dict(), saved, name)
    return adam_like(part, saved, name)


def tensors_like(own: Mapping[str, Tensor], saved: Any, name: str) -> dict[str, Tensor]:
    """Copies of a saved table of tensors, laid out in memory as one's own."""
    if not isinstance(saved, dict) or saved.keys() != own.keys():
        raise ValueError(f"{name} has other parts")
    copies = {}
    for part, tensor in own.items():
        value = saved[part]
        if not isinstance(value, Tensor) or (value.layout, value.dtype) != (tensor.layout, tensor.dtype):
            raise ValueError(f"{name}.{part} is not of {tensor.dtype}")
        if value.shape != tensor.shape:
            raise ValueError(f"{name}.{part} is {tuple(value.shape)}, and here {tuple(tensor.shape)}")
        copies[part] = torch.empty_like(tensor, requires_grad=False).copy_(value)
    if (bad := not_finite(copies, name)) is not None:
        raise ValueError(f"{bad} is not finite")
    return copies


def adam_like(adam: Any, saved: Any, name: str) -> dict[str, Any]:
    """What a saved Adam remembers of the same parameters, with the settings of `adam`, which the configuration made."""
    groups = adam.state_dict()["param_groups"]
    parameters = dict(enumerate(parameter for group in adam.param_groups for parameter in group["params"]))
    told, moments = (saved.get(key) if isinstance(saved, dict) else None for key in ("param_groups", "state"))
    if (
        not isinstance(told, list)
        or not all(isinstance(group, dict) for group in told)
        or not isinstance(moments, dict)
    ):
        raise ValueError(f"{name} is no state of Adam")
    if [group.get("params") for group in told] != [group["params"] for group in groups]:
        raise ValueError(f"{name} is of other parameters")
    if not moments.keys() <= parameters.keys():
        raise ValueError(f"{name} has moments of other parameters")
    state = {}
    for n, saved_moments in moments.items():
        own = {"step": torch.zeros(()), "exp_avg": parameters[n], "exp_avg_sq": parameters[n]}
        state[n] = tensors_like(own, saved_moments, f"{name}.{n}")
        if state[n]["step"] < 1 or (state[n]["exp_avg_sq"] < 0).any():
            raise ValueError(f"{name}.{n} is no mean of past gradients")
    return {"state": state, "param_groups": groups}
