"""A saved state is loaded only where it fits the network or optimizer: fused Adam would write past other memory."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from storygan.training import checkpoint as checkpoint_module
from storygan.training.checkpoint import load_state, newest_checkpoint, save_checkpoint


def trained() -> tuple[nn.Module, torch.optim.Adam]:
    """Return a network and its Adam after one step."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=0.5, fused=True)
    network(torch.ones(1, 3, 4, 4)).sum().backward()
    adam.step()
    return network, adam


def test_a_saved_state_is_loaded() -> None:
    network, adam = trained()
    other, other_adam = trained()
    nn.init.zeros_(other.weight)  # type: ignore[arg-type]
    other_adam.step()
    load_state(other, network.state_dict(), "x")
    load_state(other_adam, adam.state_dict(), "x")
    assert torch.equal(other.weight, network.weight)  # type: ignore[arg-type]
    assert other_adam.state_dict()["state"][0]["step"] == 1


def test_moments_get_the_memory_layout_of_their_parameters() -> None:
    network, adam = trained()
    saved = adam.state_dict()
    mean = saved["state"][0]["exp_avg"].clone()
    for other in (mean.contiguous(), torch.zeros(1).expand(mean.shape)):
        saved["state"][0]["exp_avg"] = other
        load_state(adam, saved, "x")
        loaded = adam.state_dict()["state"][0]["exp_avg"]
        assert torch.equal(loaded, other)
        assert loaded.stride() == next(network.parameters()).stride() != other.stride()


def test_settings_are_those_of_the_configuration() -> None:
    _, adam = trained()
    saved = adam.state_dict()
    saved["param_groups"] = [{**saved["param_groups"][0], "lr": "x", "betas": 5, "eps": None}]
    load_state(adam, saved, "x")
    assert adam.param_groups[0]["lr"] == 0.5
    adam.step()


def with_moments(**moments: object) -> Callable[[dict[str, Any]], object]:
    return lambda saved: {**saved, "state": {0: {**saved["state"][0], **moments}}}


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: 5,
        lambda saved: torch.zeros(2),
        lambda saved: {**saved, "state": 5},
        lambda saved: {**saved, "state": {0: 5}},
        lambda saved: {**saved, "state": {0: {}}},
        lambda saved: {**saved, "state": {2: saved["state"][0]}},
        lambda saved: {**saved, "state": {-1: saved["state"][0]}},
        with_moments(exp_avg=torch.zeros(1)),
        with_moments(exp_avg=torch.zeros(4, 3, 2, 2, dtype=torch.float64)),
        with_moments(exp_avg=torch.zeros(4, 3, 2, 2).to_sparse()),
        with_moments(step=1.0),
        with_moments(more=1.0),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    _, adam = trained()
    with pytest.raises(ValueError, match=r"^G_adam"):
        load_state(adam, change(adam.state_dict()), "G_adam")


def test_a_checkpoint_that_the_machine_fails_to_read_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before would undo iterations."""
    save_checkpoint(tmp_path, 1, {"step": 1}, keep=2)

    def fail(path: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(checkpoint_module, "open_regular", fail)
    with pytest.raises(OSError, match="Too many open files"):
        newest_checkpoint(tmp_path)
