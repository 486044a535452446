"""Initial weights of the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


@torch.no_grad()
def initialize_weights(network: nn.Module, std: float = 0.02) -> None:
    """Initialize as DCGAN does (Radford et al., 2016): weights N(0, std), batch norms N(1, std), biases 0. In place.

    Networks on the meta device are not changed: there, `normal_` would import torch's compiler, which takes 2 s.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.GRUCell):
            for name, parameter in _own_parameters(module):
                if "bias" in name:
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, std)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.normal_(1.0, std)
            module.bias.zero_()


@torch.no_grad()
def pytorch_weights(network: nn.Module) -> None:
    """Initialize each layer as its own constructor does, in place.

    Weights under spectral norm keep their values, which their constructors have initialized.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.GRUCell | nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()


@torch.no_grad()
def he_initialize(network: nn.Module) -> None:
    """Initialize a network without norm layers (He et al., 2015), in place.

    Weights are N(0, gain / sqrt(fan_in)), biases 0. Layers before a LeakyReLU have its gain, others 1.
    """
    slopes = {
        layer: activation.negative_slope
        for module in network.modules()
        if isinstance(module, nn.Sequential)
        for layer, activation in zip(module, [*module][2:], strict=False)  # between them, where batch norm was
        if isinstance(activation, nn.LeakyReLU)
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            gain = nn.init.calculate_gain("leaky_relu", slopes[module]) if module in slopes else 1.0
            module.weight.normal_(0.0, gain / module.weight[0].numel() ** 0.5)
            if module.bias is not None:
                module.bias.zero_()


def _own_parameters(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Return a layer's parameters by name; for a weight under spectral norm, the original."""
    own: list[tuple[str, Tensor]] = list(module.named_parameters(recurse=False))
    if parametrize.is_parametrized(module):
        own += [(name, part.original) for name, part in module.parametrizations.items()]  # type: ignore[union-attr, operator]
    return own


INITIALIZERS = {"dcgan": initialize_weights, "pytorch": pytorch_weights}
"""By the name in the configuration (`initialization`)."""
