"""The paper's baselines against their definitions in the design."""

import pytest
import torch
from torch import nn

from storygan.config import VARIANTS, Variant
from storygan.models.baselines import CONTEXTS, ImageGANContext, SVCContext, SVFNContext
from storygan.models.context_encoder import gist

B, T = 3, 4
GIST = 128 * 4 * 4
LOWER = 228 * 128 + 2 * 128 + 3 * (128 * 128 + 128 * 128 + 2 * 128)
TABLES: dict[Variant, tuple[dict[str, tuple[int, ...]], int]] = {
    "imagegan": ({"layer.0": (B * T, GIST), "layer": (B * T, 128, 4, 4)}, (128 + 128 + 100) * GIST + GIST),
    "svc": (
        {"lower": (B, T, 128), "layer.0": (B * T, GIST), "layer": (B * T, 128, 4, 4)},
        LOWER + (128 + 128) * GIST + GIST,
    ),
    "svfn": (
        {"lower": (B, T, 128), "filter_network.layer": (B * T, 1024), "filter_network": (B * T, 16, 64)},
        LOWER + 128 * 1024 + 2 * 1024,
    ),
}
"""By variant: the shape after each layer, and the number of parameters."""


def inputs() -> tuple[torch.Tensor, ...]:
    """Return S, eps, h_0, g_0."""
    torch.manual_seed(0)
    return torch.randn(B, T, 128), torch.randn(B, T, 100), torch.randn(B, 128), torch.randn(B, 128)


def changed_frames(network: nn.Module, position: int, at: int | None) -> list[int]:
    """Return the frames whose gist changes with `inputs()[position]`, changed in frame `at` if it has frames."""
    before, others = inputs(), inputs()
    others[position][(slice(None), *([] if at is None else [at]))] += 1
    difference = (network(*before) - network(*others)).abs().amax((0, 2, 3, 4))
    return difference.gt(1e-6).nonzero().flatten().tolist()


@pytest.mark.parametrize("variant", TABLES)
def test_shapes_and_parameters(variant: Variant) -> None:
    network, (expected, parameters) = CONTEXTS[variant](noise_dim=100), TABLES[variant]
    shapes: dict[str, tuple[int, ...]] = {}
    for name in expected:
        hook = lambda _, __, output, name=name: shapes.update({name: tuple(output.shape)})  # noqa: E731
        network.get_submodule(name).register_forward_hook(hook)
    assert network(*inputs()).shape == (B, T, 128, 4, 4)
    assert shapes == expected
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("variant", VARIANTS)
def test_inputs_of_each_gist(variant: Variant) -> None:
    """A sentence and its noise change their own frame and, with recurrence, later ones. h_0 changes every frame."""
    network = CONTEXTS[variant](noise_dim=100).eval()
    after = [2] if variant == "imagegan" else [2, 3]
    assert changed_frames(network, 0, at=2) == after
    assert changed_frames(network, 1, at=2) == after
    assert changed_frames(network, 2, at=None) == [0, 1, 2, 3]
    assert changed_frames(network, 3, at=None) == ([] if variant == "imagegan" else [0, 1, 2, 3])


def test_imagegan_maps_the_sentence_h_0_and_noise_of_each_frame() -> None:
    network, (S, eps, h_0, g_0) = ImageGANContext(noise_dim=100), inputs()
    for t, o_t in enumerate(network(S, eps, h_0, g_0).unbind(1)):
        torch.testing.assert_close(o_t, network.layer(torch.cat([S[:, t], h_0, eps[:, t]], 1)))


def test_svc_maps_i_t_and_h_0() -> None:
    network, (S, eps, h_0, g_0) = SVCContext(noise_dim=100).eval(), inputs()
    i = network.lower(S, eps, g_0)
    for t, o_t in enumerate(network(S, eps, h_0, g_0).unbind(1)):
        torch.testing.assert_close(o_t, network.layer(torch.cat([i[:, t], h_0], 1)))


def test_svfn_filters_h_0_in_every_frame() -> None:
    network, (S, eps, h_0, g_0) = SVFNContext(noise_dim=100).eval(), inputs()
    i = network.lower(S, eps, g_0)
    for t, o_t in enumerate(network(S, eps, h_0, g_0).unbind(1)):
        torch.testing.assert_close(o_t, gist(network.filter_network(i[:, t]), h_0))
