"""The auxiliary classifier: a classifier of real frames that also reads generated ones, as a loss for the generator
(as in AC-GAN, Odena et al., 2017, but trained on real frames alone). Not in the paper.

Evaluate with a different classifier from the one in the loss; otherwise scores are biased.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from storygan.config import AuxClassifierLoss
from storygan.evaluation.frame_content import FrameContent, Targets, classifier_terms
from storygan.models.recognizer import Recognizer
from storygan.types import UsageError


def new_classifier(content: FrameContent, weights: AuxClassifierLoss) -> Recognizer:
    """Return an untrained classifier of a data set's labels and, with CLEVR-SV sentences, of objects at locations."""
    return Recognizer(content.known.label_names, about={"places": content.has_locations}, turns=bool(weights.direction))


def require_fit(classifier: Recognizer, content: FrameContent) -> None:
    """Raise UsageError where a classifier predicts nothing that these frames have."""
    if not any(content.known.read_by(classifier)):
        raise UsageError("the auxiliary classifier has other labels than these stories: train one with a stage of C")


def aux_loss(C: Any, x: Tensor, targets: Targets) -> Tensor:
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
