"""`differences` finds a single bit; tests/faults and benchmarks/soak.py depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.run_folders import differences

from storygan.training.checkpoint import save_checkpoint

CHECKPOINT = "checkpoints/step-00000003.pt"


def run(folder: Path, weight: float = 1.0, decay: float = 0.5, metrics: str = "{}\n", model: bytes = b"x") -> Path:
    """Write the compared parts of a run folder."""
    progress = {"step": 3, "stage": "only", "k": 3, "data": "x", "best": None, "penalties": {}}
    state = {**progress, "config": {"run": str(folder)}, "ema": [{"decay": decay}], "G": {"w": torch.tensor([weight])}}
    state["seconds"] = 1.0 + (folder.name == "b")
    save_checkpoint(folder / "checkpoints", 3, state, keep=None)
    (folder / "metrics.jsonl").write_text(metrics)
    (folder / "model").mkdir()
    (folder / "model/model.safetensors").write_bytes(model)
    return folder


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"weight": 1.0 + 2**-23}, [CHECKPOINT]),
        ({"decay": 0.25}, [CHECKPOINT]),
        ({"metrics": ""}, ["metrics.jsonl"]),
        ({"model": b"y"}, ["model/model.safetensors"]),
    ],
    ids=str,
)
def test_differences(tmp_path: Path, change: dict[str, object], found: list[str]) -> None:
    assert differences(run(tmp_path / "a"), run(tmp_path / "b", **change), 3) == found  # type: ignore[arg-type]
