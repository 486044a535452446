"""Devices and precision: choosing them, and models in other types than float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from storygan import StoryGAN
from storygan.errors import UsageError
from storygan.models.devices import find_device, resolve_precision
from storygan.models.storygan import load_for_inference

STORY = ["large red rubber cube at (-2.2, -0.6)", "small green metal cylinder at (2.4, 1.6)"] * 2
CPU = torch.device("cpu")
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.parametrize("amx", [True, False])
def test_auto_is_bf16_where_the_processor_multiplies_bf16_matrices(monkeypatch: pytest.MonkeyPatch, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert resolve_precision("auto", CPU) == ("bf16" if amx else "fp32")
    assert resolve_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(("name", "message"), [("cpu:1", "no device cpu:1"), ("gpu", "unknown device 'gpu'")])
def test_unknown_device_is_named(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_device(name)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="this machine has an accelerator")
def test_missing_accelerator_is_named() -> None:
    assert find_device("auto") == CPU
    with pytest.raises(UsageError, match="there is no device cuda:1: this machine has cpu"):
        find_device("cuda:1")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fused", [False, True])
def test_model_generates_in_half_precision(dtype: torch.dtype, fused: bool) -> None:
    expected = StoryGAN.from_pretrained("clevr-sv").generate(STORY, seed=3).frames.astype(int)
    model = load_for_inference("clevr-sv").to(dtype) if fused else StoryGAN.from_pretrained("clevr-sv", dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    found = model.generate(STORY, seed=3).frames
    assert found.dtype == np.uint8
    assert np.abs(found - expected).mean() < 1


def test_unknown_option_of_from_pretrained_is_an_error() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        StoryGAN.from_pretrained("clevr-sv", nonsense=1)  # type: ignore[call-arg]


@cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_model_generates_the_same_on_a_gpu(precision: str) -> None:
    expected = load_for_inference("clevr-sv").generate(STORY, seed=3).frames.astype(int)
    found = load_for_inference("clevr-sv", "cuda", precision).generate(STORY, seed=3).frames  # type: ignore[arg-type]
    assert np.abs(found - expected).mean() < 1
