"""The networks of a stage, and freezing of those that another learns through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from storygan.config import AuxClassifierLoss
from storygan.errors import UsageError
from storygan.evaluation.labelled_frames import ClassifierTargets, LabelledFrames, classifier_terms
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.training.distributed import Processes


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


ADVERSARIAL, OTHERS = ("L_image", "L_story", "label"), ("mse", "aux")
DECAY = 0.95
"""Of the running means of the two norms."""


class AdversarialRatio(nn.Module):
    """Scales the adversarial terms: their gradient by `X^` gets `ratio` times the norm of that of `mse` and `aux`.

    The adaptive weight of VQGAN (Esser et al., 2021, equation 7), taken at the frames instead of the last layer, so
    that no gradient passes through the generator twice. A module for the sake of its state.
    """

    norms: Tensor
    """(2,) running means of the norms, of the other terms and of the adversarial ones; 0 before the first iteration."""

    def __init__(self, ratio: float, processes: Processes) -> None:
        super().__init__()
        self.ratio, self.processes = ratio, processes
        self.register_buffer("norms", torch.zeros(2))

    def backward(self, terms: dict[str, Tensor], X_hat: Tensor) -> Tensor:
        """Backpropagate the weighted terms of the generator; return the scale of the adversarial ones."""
        gradients = [
            torch.autograd.grad(sum(terms[name] for name in names if name in terms), X_hat)[0]  # type: ignore[arg-type]
            for names in (OTHERS, ADVERSARIAL)
        ]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        self.processes.average([norms])
        self.norms = DECAY * self.norms + (1 - DECAY) * norms if self.norms.any() else norms
        scale = self.ratio * self.norms[0] / self.norms[1].clamp(min=1e-12)
        roots: list[Tensor] = [X_hat]
        at_roots: list[Tensor | None] = [gradients[0] + scale * gradients[1]]
        if "L_KL" in terms:  # by way of mu and sigma alone
            roots, at_roots = [*roots, terms["L_KL"]], [*at_roots, None]
        torch.autograd.backward(roots, at_roots)
        return scale


def new_classifier(content: LabelledFrames, weights: AuxClassifierLoss) -> AttributeClassifier:
    """Return an untrained classifier of a data set's labels and, with CLEVR-SV sentences, of objects at locations."""
    return AttributeClassifier(
        content.label_names, about={"places": content.has_locations}, turns=bool(weights.direction)
    )


def require_fit(classifier: AttributeClassifier, content: LabelledFrames) -> None:
    """Raise UsageError where a classifier predicts nothing that these frames have."""
    if not any(content.supported_by(classifier)):
        raise UsageError("the auxiliary classifier has other labels than these stories: train one with a stage of C")


def aux_loss(C: Any, x: Tensor, targets: ClassifierTargets) -> Tensor:
    """Return what the classifier makes of generated frames (N, 3, 64, 64): scalar >= 0 with a graph.

    The sum of its cross-entropies: of objects at locations where it predicts them, with their direction where it
    predicts that, else of labels.
    """
    weights = (
        AuxClassifierLoss(present=1, attributes=1, direction=float(C.turns is not None))
        if C.knows_places
        else AuxClassifierLoss(label=1)
    )
    return torch.stack(list(classifier_terms(C, x, targets, weights).values())).sum()
