"""The weights every network starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


@torch.no_grad()
def initialize_weights(network: nn.Module, std: float = 0.02) -> None:
    """DCGAN's start (Radford et al., 2016): weights N(0, std), norm layers N(1, std), biases 0. In place.

    A network on the meta device, which has shapes alone, stays as it is: torch would import its compiler, 2 s, to try.
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
    """Each layer's own start, as PyTorch has it: uniform, the wider the fewer its inputs. In place.

    A weight under spectral norm stays: it has had that start from its making.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.GRUCell | nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()


def _own_parameters(module: nn.Module) -> list[tuple[str, Tensor]]:
    """A layer's parameters by name; of a weight under spectral norm, what it is computed from."""
    own: list[tuple[str, Tensor]] = list(module.named_parameters(recurse=False))
    if parametrize.is_parametrized(module):
        own += [(name, part.original) for name, part in module.parametrizations.items()]  # type: ignore[union-attr, operator]
    return own


INITIALIZERS = {"dcgan": initialize_weights, "pytorch": pytorch_weights}
"""By the name in the configuration."""
