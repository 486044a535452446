"""Record `golden.json` with the training code of version 0.1: in a checkout of commit f346c4f,

    PYTHONPATH=src:THIS_REPOSITORY python THIS_REPOSITORY/tests/training/record_golden.py OUT.json

It knows that version's configuration alone, and is kept to say where the numbers come from.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tests.training import golden

from storygan import losses
from storygan.config import AdamConfig, DataConfig, DiscriminatorConfig, LossConfig, ModelConfig, TrainConfig
from storygan.config import WarmUpConfig as WarmUp
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.models.attribute_classifier import SHIPPED
from storygan.models.noise import Noise
from storygan.training import loop

LABELS = DiscriminatorConfig(label_head=True)


def phases(base: TrainConfig) -> dict[str, TrainConfig]:
    """Return one configuration a phase, each with six iterations."""
    reconstruction = WarmUp(iterations=6, lr=1e-3, beta1=0.9, kl=0.01)
    coupled = WarmUp(
        **{**vars(reconstruction), "cosine": True, "frames": 2, "any_order": True, "object_weight": 8.0},
    )
    coupled = replace(coupled, fixed_norms=True, teacher=0.003)
    slow, constant = AdamConfig(1e-4, 1e-4, halve_every_epochs=0), AdamConfig(halve_every_epochs=0)
    adversarial = LossConfig(alpha=0.5, beta=2.0, kl=3e-4, mismatched=True, squared_error=100.0, label=0.4)
    circles, imagegan = replace(base.model, noise="circles"), replace(base.model, variant="imagegan")
    return {
        "reconstruction": replace(base, model=circles, coupled_noise=True, teacher=str(SHIPPED), warm_up=coupled),
        "reconstruction of all frames": replace(base, warm_up=reconstruction),
        "discriminators": replace(
            base,
            discriminator=LABELS,
            loss=LossConfig(mismatched=True),
            warm_up=WarmUp(discriminator_iterations=6),
            adam=slow,
        ),
        "adversarial": replace(base, discriminator=replace(LABELS, frames=1), loss=adversarial, adam=slow),
        "paper": replace(base, loss=LossConfig(saturating=True), adam=constant),
        "paper, spectral norm": replace(base, discriminator=DiscriminatorConfig(spectral_norm=True), adam=constant),
        "imagegan": replace(base, model=imagegan, adam=constant),
    }


def main(out: Path, data: Path) -> None:
    """Record the losses of every phase."""
    torch.set_num_threads(1)
    dataset = open_split(write_sample(data)[0].parent, "train")
    loop.indices = lambda stories, B, seed, k: golden.story_idx(k)
    loop.drawn_frames = lambda *_: golden.FRAME_IDX
    loop.judged_frames = lambda *_: golden.DISC_FRAME_IDX
    loop.orders = lambda shown, T, seed, k: golden.sentence_order(k)
    weighted, squared_error = [], losses.squared_error

    def recorded(X_hat, X, counts=None):
        error = squared_error(X_hat, X, counts)
        if counts is not None:  # what the generator minimises; the log had the error without weights
            weighted.append(error.item())
        return error

    losses.squared_error = recorded
    base = TrainConfig(data=DataConfig(str(data)), batch_size=golden.B, threads=1, model=ModelConfig(noise_dim=10))
    found = {}
    for name, config in phases(base).items():
        trainer = loop.Trainer.build(config, dataset)
        for network in vars(trainer.networks).values():
            if network is not None:
                golden.set_weights(network.module)

        def noise(chosen, trainer=trainer):
            sampled = Noise.draw(len(chosen), trainer.config.model, golden.noise_generator(trainer.k))
            return sampled if trainer.coupled is None else trainer.coupled.couple(sampled, chosen)

        trainer._noise = noise
        found[name] = [{term: value.item() for term, value in trainer.iteration().items()} for _ in range(6)]
        for line, error in zip(found[name], weighted, strict=False):
            line["squared_error"] = error
        weighted.clear()
    rows = {
        name: [{term: float(f"{v:.6g}") for term, v in line.items()} for line in lines] for name, lines in found.items()
    }
    text = ",\n".join(
        f' "{name}": [\n' + ",\n".join(f"  {json.dumps(x)}" for x in lines) + "\n ]" for name, lines in rows.items()
    )
    out.write_text(f"{{\n{text}\n}}\n")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(sys.argv[1]), Path(folder) / "sample")
