"""Frozen networks and the balance of the generator's gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny import D_I, D_S, G, one_stage, paper_stage
from torch import Tensor, nn

from storygan.config import ModelConfig
from storygan.training import steps
from storygan.training.loop import iteration
from storygan.training.networks import frozen
from storygan.training.trainer import StageTrainer


def test_frozen_networks_pass_gradients_and_stay_unchanged() -> None:
    network = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1))
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(8, 4, requires_grad=True)
    with frozen(network):
        network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_adversarial_ratio_scales_the_gradient_by_the_frames(data: Path) -> None:
    """The step follows mse + scale * (L_image + L_story) + L_KL, with the scale that gives the norms their ratio."""

    def stepped(**options: Any) -> tuple[StageTrainer, dict[str, Tensor]]:
        loss = {"L_image": 0.5, "L_story": 2.0, "L_KL": 0.1, "mse": 3.0}
        D = {"D_I": D_I(loss={"L_image": 1}, lr=0.0), "D_S": D_S(loss={"L_story": 1}, lr=0.0)}
        trainer = one_stage(data, paper_stage(**D, G=G(loss={**loss, **options.pop("loss", {})}, lr=0.0, **options)))
        return trainer, iteration(trainer)

    def gradient(trainer: StageTrainer) -> Tensor:
        return torch.cat([p.grad.flatten() for p in trainer.nets.G.parameters() if p.grad is not None])

    balanced, metrics = stepped(adversarial_ratio=4.0)
    scale = metrics["G/adversarial_scale"].item()
    plain, _ = stepped(loss={"L_image": 0.5 * scale, "L_story": 2.0 * scale})
    assert (gradient(balanced) - gradient(plain)).norm() < 1e-4 * gradient(plain).norm()

    batch = plain.loader.load(0, slice(None))
    plain.set_modes()
    with frozen(*plain.nets.others("G")):
        fake = steps.generate(plain.nets, batch, plain.loader.noise(batch, 0, slice(None)))
        terms = steps.generator_terms(plain.nets, batch, fake, plain.stage.G.loss, plain.stage, 0)  # type: ignore[union-attr]
        norms = [
            torch.autograd.grad(term, fake.X_hat, retain_graph=True)[0].norm().item()
            for term in (3.0 * terms["mse"], 0.5 * terms["L_image"] + 2.0 * terms["L_story"])
        ]
    assert scale == pytest.approx(4.0 * norms[0] / norms[1], rel=1e-3)


def test_a_variant_without_D_S_has_nothing_to_scale(data: Path) -> None:
    stage = paper_stage(G=G(loss={"L_story": 1, "mse": 1}, adversarial_ratio=1.0))
    trainer = one_stage(data, stage, model=ModelConfig("imagegan", T=2))
    assert "G/adversarial_scale" not in iteration(trainer)


def test_adversarial_ratio_uses_running_means_that_are_saved(data: Path) -> None:
    stage = paper_stage(G=G(loss={"L_image": 1, "mse": 1}, adversarial_ratio=1.0))
    trainer = one_stage(data, stage)
    ratio = trainer.adversarial_ratio
    assert ratio is not None
    iteration(trainer)
    first = ratio.norms.clone()
    x = torch.zeros(2, requires_grad=True)
    ratio.backward({"mse": 3 * x[0], "L_image": 4 * x[1]}, x)
    torch.testing.assert_close(ratio.norms, 0.95 * first + 0.05 * torch.tensor([3.0, 4.0]))
    state = trainer.state_dict()
    again = one_stage(data, stage)
    again.load_state_dict(state)
    assert torch.equal(again.adversarial_ratio.norms, ratio.norms)  # type: ignore[union-attr, arg-type]
