"""Check that the files of a run folder are complete, and that two runs are equal. For tests and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from storygan.models.storygan import StoryGAN
from storygan.training.checkpoint import checkpoint_paths, load_checkpoint, step_of


def steps_logged(run: Path) -> list[int]:
    """Return the iterations in metrics.jsonl, without an unfinished last line."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line)["step"] for line in lines]


def no_torn_file(folder: Path) -> list[int]:
    """Read every file of a run folder that has its final name; return the iterations of the checkpoints."""
    checkpoints = checkpoint_paths(folder / "checkpoints")
    assert [load_checkpoint(path)["step"] for path in checkpoints] == [step_of(path) for path in checkpoints]
    if (folder / "config.yaml").exists():
        assert yaml.safe_load((folder / "config.yaml").read_text())["run"] == str(folder)
    steps_logged(folder)
    for sample in (folder / "samples").glob("step-*.png"):
        np.asarray(Image.open(sample))
    if (folder / "model/config.json").exists():
        StoryGAN.from_pretrained(folder / "model")
    return [step_of(path) for path in checkpoints]


def same(a: object, b: object) -> bool:
    """Return whether two nested states are bit-exactly equal."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(one, two) for one, two in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b


def differences(run: Path, whole: Path, step: int) -> list[str]:
    """Return the files that are not bit-exactly equal in two runs that ended at iteration `step`.

    Folders, times and timeouts may differ.
    """
    checkpoint = f"checkpoints/step-{step:08d}.pt"
    one, two = (load_checkpoint(folder / checkpoint) for folder in (run, whole))
    for state in (one, two):
        state["config"].update(run="", data={}, timeout=0)
        assert state.pop("seconds") > 0
    files = ("metrics.jsonl", "model/model.safetensors")
    found = [] if same(one, two) else [checkpoint]
    return found + [file for file in files if (run / file).read_bytes() != (whole / file).read_bytes()]
