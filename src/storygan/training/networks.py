"""The networks of a stage, freezing, the balance of the generator's gradients, and the auxiliary classifier."""

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
    """The networks of a stage, set up by Fabric. None: no term of the stage needs the network."""

    G: Any
    D_I: Any = None
    D_S: Any = None
    C: Any = None
    fabric: Any = None

    def each(self) -> dict[str, nn.Module]:
        """Return the networks that exist, by name."""
        names = {"G": self.G, "D_I": self.D_I, "D_S": self.D_S, "C": self.C}
        return {name: network for name, network in names.items() if network is not None}

    def others(self, name: str) -> list[nn.Module]:
        """Return all networks except `name`."""
        return [network for other, network in self.each().items() if other != name]


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Freeze networks: gradients pass through; parameters, running statistics and power iterations stay."""
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
NORM_DECAY = 0.95
"""Decay of the running means of the gradient norms."""


class AdversarialRatio(nn.Module):
    """Scale the adversarial terms: the norm of their gradient w.r.t. `X^` becomes `ratio` times that of `mse` + `aux`.

    This is the adaptive weight of VQGAN (Esser et al., 2021, equation 7) at the frames instead of the last layer, so
    the generator needs one backward pass. It is a module because its norms are part of a checkpoint.
    """

    norms: Tensor
    """(2,) running means of the gradient norms of `mse` + `aux` and of the adversarial terms; 0 at the start."""

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
        self.norms = NORM_DECAY * self.norms + (1 - NORM_DECAY) * norms if self.norms.any() else norms
        scale = self.ratio * self.norms[0] / self.norms[1].clamp(min=1e-12)
        tensors: list[Tensor] = [X_hat]
        grad_tensors: list[Tensor | None] = [gradients[0] + scale * gradients[1]]
        if "L_KL" in terms:  # its gradient does not pass through X^
            tensors, grad_tensors = [*tensors, terms["L_KL"]], [*grad_tensors, None]
        torch.autograd.backward(tensors, grad_tensors)
        return scale


def new_classifier(content: LabelledFrames, weights: AuxClassifierLoss) -> AttributeClassifier:
    """Return an untrained classifier of a data set's labels and, with CLEVR-SV sentences, of objects at locations."""
    return AttributeClassifier(
        content.label_names, about={"locations": content.has_locations}, yaw=bool(weights.direction)
    )


def require_fit(classifier: AttributeClassifier, content: LabelledFrames) -> None:
    """Raise UsageError where a classifier predicts nothing that these frames have."""
    if not any(content.supported_by(classifier)):
        raise UsageError("the auxiliary classifier has other labels than these stories: train one with a stage of C")


def aux_loss(C: Any, x: Tensor, targets: ClassifierTargets) -> Tensor:
    """Compute the auxiliary classifier loss of generated frames (N, 3, 64, 64): scalar >= 0 with a graph.

    With locations, it is the sum of the cross-entropies of presence and attributes, and of the squared error of the
    yaw if the classifier predicts it. Otherwise it is the cross-entropy of the labels.
    """
    weights = (
        AuxClassifierLoss(present=1, attributes=1, direction=float(C.predicts_yaw))
        if C.predicts_locations
        else AuxClassifierLoss(label=1)
    )
    return torch.stack(list(classifier_terms(C, x, targets, weights).values())).sum()
