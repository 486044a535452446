"""The networks of a stage, and freezing of those that another learns through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass
class Networks:
    """The networks of a stage, set up by Fabric; None: the stage has no term that needs it."""

    G: Any
    D_I: Any = None
    D_S: Any = None
    C: Any = None
    fabric: Any = None

    def each(self) -> dict[str, nn.Module]:
        """Return those that are built, by name."""
        names = {"G": self.G, "D_I": self.D_I, "D_S": self.D_S, "C": self.C}
        return {name: network for name, network in names.items() if network is not None}

    def others(self, name: str) -> list[nn.Module]:
        """Return all but one."""
        return [network for other, network in self.each().items() if other != name]


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let gradients pass through networks of which nothing changes: no parameter, running mean or power iteration."""
    modules = [module for network in networks for module in network.modules()]
    parameters = [p for module in modules for p in module.parameters(recurse=False) if p.requires_grad]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    parametrizations = [m for m in modules if isinstance(m, nn.utils.parametrizations._SpectralNorm) and m.training]
    for parameter in parameters:
        parameter.requires_grad_(False)
    for norm in norms:
        norm.track_running_stats = False
    for parametrization in parametrizations:
        parametrization.eval()
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
        for parametrization in parametrizations:
            parametrization.train()
