"""Checkpoints: all that is needed to go on as if nothing had happened, in one file, written whole or not at all.

The checksum is the one that torch.save writes: its file is a zip with a CRC-32 of every tensor. torch.load does not
look at it; `load_checkpoint` does, so that a checkpoint of any age is checked.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from storygan.errors import StoryganError, reason
from storygan.files import atomic_open


def validate_state(part: Any, saved: Any, name: str) -> dict[str, Any]:
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


PATTERN = "step-*.pt"
MAX_STEPS = 10**9
"""Iterations of a run: 30 years."""
PROGRESS = {
    "step": (int,),
    "stage": (str,),
    "k": (int,),
    "data": (str,),
    "seconds": (float,),
    "best": (float, type(None)),
}
"""The types of what a checkpoint holds besides the states of networks and optimizers."""


def step_of(path: Path) -> int:
    """`step-00000500.pt` -> 500."""
    return int(path.stem.removeprefix("step-"))


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints by their iteration, oldest first: the clock has no say in which is the newest."""
    return sorted((path for path in folder.glob(PATTERN) if path.stem.removeprefix("step-").isdecimal()), key=step_of)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int | None) -> Path:
    """Write `step-%08d.pt`, then remove all but the newest `keep` (None: remove none).

    Checkpoints of later iterations are ones that could not be read when the run went on: they are removed.

    Raises:
        StoryganError: it cannot be written, or its tensors are not all finite; the checkpoints before it stay.
    """
    if (name := not_finite(state)) is not None:
        raise StoryganError(f"{name} is not finite after iteration {step}: it is not saved, {_last_good(folder)}")
    path = folder / f"step-{step:08d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_open(path) as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # how torch passes on what went wrong in file.write()
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


def not_finite(state: Any, name: str = "the state") -> str | None:
    """The dotted name of a tensor in a nested state that holds NaN or Inf; None where there is none."""
    if isinstance(state, torch.Tensor):
        return name if state.is_floating_point() and not state.isfinite().all() else None
    if isinstance(state, dict):
        parts: Iterator[tuple[Any, Any]] = ((key, value) for key, value in state.items())
    elif isinstance(state, list | tuple):
        parts = enumerate(state)
    else:
        return None
    found = (not_finite(value, str(key) if name == "the state" else f"{name}.{key}") for key, value in parts)
    return next((bad for bad in found if bad is not None), None)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint and check it (`weights_only`: no code in it is run).

    Raises:
        StoryganError: where it cannot be read, or its content does not fit its checksums.
        MemoryError: where there is no room for it.
    """
    try:
        if not path.is_file():
            raise ValueError("it is no file")  # a pipe would be waited for
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as archive:
                _require_stored(archive, path.stat().st_size)
                damaged = archive.testzip()
            if damaged is not None:
                raise ValueError(f"{damaged} does not fit its checksum")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            _require_progress(state)
            return state
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile and torch raise many kinds on a torn or foreign file
        raise StoryganError(f"the checkpoint {path} cannot be read: {reason(error)}") from error


def _require_progress(state: Any) -> None:
    """Raise ValueError where a state does not say how far which run is."""
    if not isinstance(state, dict) or any(type(state.get(name)) not in kinds for name, kinds in PROGRESS.items()):
        raise ValueError("it is no checkpoint of this version of storygan")
    if not 0 <= state["k"] <= state["step"] <= MAX_STEPS or not 0 <= state["seconds"] < math.inf:
        raise ValueError("it is of no iteration")


def _require_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Raise ValueError where the archive would unpack to more than itself: torch.save stores, it does not compress."""
    entries = archive.infolist()
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > size:
        raise ValueError("it unpacks to more than its size")


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read; one that cannot is named on stderr and passed over. None: there is none.

    Raises:
        StoryganError: where there are checkpoints and none can be read.
    """
    paths = checkpoint_paths(folder)
    for path in reversed(paths):
        try:
            return load_checkpoint(path)
        except StoryganError as error:
            print(f"{error}; trying the one before", file=sys.stderr)
    if paths:
        raise StoryganError(f"none of the {len(paths)} checkpoints in {folder} can be read")
    return None


def _last_good(folder: Path) -> str:
    paths = checkpoint_paths(folder)
    return f"the last good checkpoint is {paths[-1]}" if paths else "there is no checkpoint yet"
