"""Balance of the generator's adversarial terms against its others, by the gradients that reach the frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from storygan.training.processes import Processes

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
