"""A checkpoint's parts, before they are taken."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from storygan.training.checkpoint import adam_like, validate_state


def stepped() -> tuple[nn.Module, torch.optim.Adam]:
    """A network as training has them, after one step."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=0.5, fused=True)
    network(torch.ones(1, 3, 4, 4)).sum().backward()
    adam.step()
    return network, adam


def test_what_was_saved_is_loaded() -> None:
    network, adam = stepped()
    for part in (network, adam):
        part.load_state_dict(validate_state(part, part.state_dict(), "x"))
    assert adam.state_dict()["state"][0]["step"] == 1


def test_moments_lie_in_memory_as_their_parameters_do() -> None:
    """Fused Adam walks over both as over one row of numbers."""
    network, adam = stepped()
    saved = adam.state_dict()
    mean = saved["state"][0]["exp_avg"]
    others = (mean.contiguous(), torch.zeros(1).expand(mean.shape))
    for other in others:
        saved["state"][0]["exp_avg"] = other
        taken = adam_like(adam, saved, "x")["state"][0]["exp_avg"]
        assert torch.equal(taken, other)
        assert taken.stride() == next(network.parameters()).stride() != other.stride()


def test_settings_are_the_configurations() -> None:
    _, adam = stepped()
    saved = adam.state_dict()
    saved["param_groups"] = [{**saved["param_groups"][0], "lr": "x", "betas": 5, "eps": None}]
    adam.load_state_dict(adam_like(adam, saved, "x"))
    assert adam.param_groups[0]["lr"] == 0.5
    adam.step()


def changed(**parts: object) -> Callable[[dict[str, Any]], object]:
    return lambda saved: {**saved, **parts}


def with_moments(**moments: object) -> Callable[[dict[str, Any]], object]:
    return lambda saved: {**saved, "state": {0: {**saved["state"][0], **moments}}}


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: 5,
        lambda saved: torch.zeros(2),
        changed(param_groups=5),
        changed(param_groups=[5]),
        changed(param_groups=[{}]),
        changed(param_groups=[{"params": [0, 1, 2]}]),
        changed(state=5),
        changed(state={0: 5}),
        changed(state={0: {}}),
        lambda saved: {**saved, "state": {2: saved["state"][0]}},
        lambda saved: {**saved, "state": {-1: saved["state"][0]}},
        with_moments(exp_avg=torch.zeros(1)),
        with_moments(exp_avg=torch.zeros(4, 3, 2, 2, dtype=torch.float64)),
        with_moments(exp_avg=torch.zeros(4, 3, 2, 2).to_sparse()),
        with_moments(exp_avg=torch.full((4, 3, 2, 2), torch.nan)),
        with_moments(exp_avg_sq=torch.full((4, 3, 2, 2), -1.0)),
        with_moments(step=torch.tensor(0.0)),
        with_moments(step=1.0),
        with_moments(more=1.0),
    ],
)
def test_what_could_not_be_adams_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    _, adam = stepped()
    with pytest.raises(ValueError, match=r"^G_adam"):
        adam_like(adam, change(adam.state_dict()), "G_adam")
