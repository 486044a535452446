"""Checkpoints: one file with all that exact resuming needs, written atomically.

`torch.save` writes a zip with a CRC-32 of every tensor. `torch.load` ignores the CRCs; `load_checkpoint` checks them.
"""

from __future__ import annotations

import logging
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from storygan.errors import StoryganError, machine_failed, reason
from storygan.files import atomic_open, open_regular

log = logging.getLogger(__name__)

MAX_STEPS = 10**9
"""Iterations of a run."""
PROGRESS: dict[str, tuple[type, ...]] = {
    "step": (int,),
    "stage": (str,),
    "k": (int,),
    "penalties": (dict,),
    "data": (str,),
    "seconds": (float,),
    "best": (float, type(None)),
}
"""Types of the entries besides the states of networks and optimizers."""


def step_of(path: Path) -> int:
    """Return the iteration in a file name: `step-00000500.pt` -> 500."""
    return int(path.stem.removeprefix("step-"))


def checkpoint_paths(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder by iteration, oldest first."""
    paths = [path for path in folder.glob("step-*.pt") if path.stem.removeprefix("step-").isdecimal()]
    return sorted(paths, key=step_of)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int | None) -> Path:
    """Write `step-%08d.pt`, then remove all but the newest `keep` checkpoints (None: remove none).

    Checkpoints of later iterations are removed too: they could not be read when the run was resumed.

    Raises:
        StoryganError: the file cannot be written, or a tensor is not finite; earlier checkpoints stay.
    """
    if (name := not_finite(state)) is not None:
        raise StoryganError(f"{name} is not finite after iteration {step}: it is not saved, {_last_good(folder)}")
    path = folder / f"step-{step:08d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_open(path) as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # torch wraps the OSError of file.write()
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
    except (OSError, StoryganError) as error:
        raise StoryganError(f"{error}; {_last_good(folder)}") from error
    paths = checkpoint_paths(folder)
    kept = [other for other in paths if step_of(other) <= step][-(keep or len(paths)) :]
    for other in set(paths) - set(kept):
        other.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint and verify its checksums. No code in it is run (`weights_only`).

    Raises:
        StoryganError: it cannot be read, or is damaged.
        OSError, MemoryError: the machine failed to read it.
    """
    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
                if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
                    raise ValueError("it unpacks to more than its size")  # torch.save does not compress
                if (damaged := archive.testzip()) is not None:
                    raise ValueError(f"{damaged} does not fit its checksum")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or any(type(state.get(name)) not in kinds for name, kinds in PROGRESS.items()):
            raise ValueError("it is not a checkpoint of this version of storygan")
        if not 0 <= state["k"] <= state["step"] <= MAX_STEPS or not 0 <= state["seconds"] < math.inf:
            raise ValueError("its iteration or time is out of range")
        return state
    except Exception as error:  # zipfile and torch raise many kinds on a damaged or foreign file
        if machine_failed(error):
            raise  # it may be intact: the one before would undo iterations
        raise StoryganError(f"the checkpoint {path} cannot be read: {reason(error)}") from error


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Load the newest readable checkpoint of a folder; log each that is skipped. None: there is no checkpoint.

    Raises:
        StoryganError: there are checkpoints, and none can be read.
    """
    paths = checkpoint_paths(folder)
    for path in reversed(paths):
        try:
            return load_checkpoint(path)
        except StoryganError as error:
            log.warning(f"{error}; trying the one before")
    if paths:
        raise StoryganError(f"none of the {len(paths)} checkpoints in {folder} can be read")
    return None


def load_state(part: Any, saved: Any, name: str) -> None:
    """Load a saved state into a network or an Adam; the settings of Adam stay those of the configuration.

    Raises:
        ValueError: the state has other entries, shapes or dtypes.
    """
    if isinstance(part, nn.Module):
        part.load_state_dict(_conform(saved, part.state_dict(), name))
        return
    parameters = dict(enumerate(p for group in part.param_groups for p in group["params"]))
    moments = saved.get("state") if isinstance(saved, dict) else None
    if not isinstance(moments, dict) or not moments.keys() <= parameters.keys():
        raise ValueError(f"{name} is not a state of Adam for these parameters")
    own = {n: {"step": torch.zeros(()), "exp_avg": parameters[n], "exp_avg_sq": parameters[n]} for n in moments}
    part.load_state_dict({"state": _conform(moments, own, name), "param_groups": part.state_dict()["param_groups"]})


def _conform(saved: Any, own: Any, name: str) -> Any:
    """Return a copy of a saved state with the memory layout of one's own: fused Adam walks over parameters and moments
    as flat memory. Raises ValueError where entries, shapes or dtypes differ."""
    if isinstance(own, dict):
        if not isinstance(saved, dict) or saved.keys() != own.keys():
            raise ValueError(f"{name} has other entries")
        return {key: _conform(saved[key], own[key], f"{name}.{key}") for key in own}
    wanted = (own.dtype, own.layout, own.shape)
    if not isinstance(saved, Tensor) or (saved.dtype, saved.layout, saved.shape) != wanted:
        raise ValueError(f"{name} is not a tensor of {own.dtype} and shape {tuple(own.shape)}")
    return torch.empty_like(own, requires_grad=False).copy_(saved)


def not_finite(state: Any, name: str = "") -> str | None:
    """Return the dotted name of a tensor with NaN or Inf in a nested state; None: all are finite."""
    if isinstance(state, Tensor):
        return name if state.is_floating_point() and not state.isfinite().all() else None
    parts = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    found = (not_finite(value, f"{name}.{key}".removeprefix(".")) for key, value in parts)
    return next((bad for bad in found if bad is not None), None)


def _last_good(folder: Path) -> str:
    paths = checkpoint_paths(folder)
    return f"the last good checkpoint is {paths[-1]}" if paths else "there is no checkpoint yet"
