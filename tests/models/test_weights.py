"""Weights that no network can have are refused: safetensors files have no checksums."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from storygan.models.weights import load_weights

GOOD = {"a.weight": torch.ones(2), "a.running_var": torch.zeros(2), "a.num_batches_tracked": torch.tensor(3)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_are_read_as_they_are(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({**GOOD, "a.weight": torch.ones(2, dtype=dtype)}, tmp_path / "x")
    weights = load_weights(tmp_path / "x")
    assert weights.keys() == GOOD.keys()
    assert weights["a.weight"].dtype == dtype


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("a.weight", torch.tensor([1.0, torch.nan]), "'a.weight' in x is not finite"),
        ("a.weight", torch.tensor([1.0, -torch.inf]), "is not finite"),
        ("a.weight", torch.tensor(1e300, dtype=torch.float64), "is not finite"),
        ("a.weight", torch.ones(2, dtype=torch.int8), r"is of torch\.int8"),
        ("a.weight", torch.ones(2, dtype=torch.bool), r"is of torch\.bool"),
        ("a.weight", torch.ones(2).to(torch.float8_e5m2), r"is of torch\.float8_e5m2"),
        ("a.running_var", torch.tensor([1.0, -1.0]), "'a.running_var' in x is negative"),
        ("a.num_batches_tracked", torch.tensor(-1), "is negative"),
        ("a.num_batches_tracked", torch.tensor(1.0), r"is of torch\.float32"),
    ],
)
def test_impossible_weights_are_refused(name: str, tensor: Tensor, message: str, tmp_path: Path) -> None:
    save_file({**GOOD, name: tensor}, tmp_path / "x")
    with pytest.raises(ValueError, match=message):
        load_weights(tmp_path / "x")
