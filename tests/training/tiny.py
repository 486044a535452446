"""A tiny recipe with every kind of stage and most options: iterations of 2 stories of 2 frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from storygan.config import (
    AuxClassifierConfig,
    AuxClassifierLoss,
    DataConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    GeneratorLoss,
    ImageDiscriminatorConfig,
    ImageDiscriminatorLoss,
    ModelConfig,
    StageConfig,
    StoryDiscriminatorConfig,
    StoryDiscriminatorLoss,
    TrainConfig,
)
from storygan.data.dataset import open_split
from storygan.training.distributed import Processes
from storygan.training.stage_folder import InitialWeights, initial_weights
from storygan.training.trainer import Experiment, StageTrainer

B, T = 4, 2
"""Stories of a batch, and frames of a story, in these tests."""


def G(**options: Any) -> GeneratorConfig:
    """Return a generator's configuration; `loss` is a dictionary of weights."""
    return GeneratorConfig(**{**options, "loss": GeneratorLoss(**options["loss"])})


def D_I(**options: Any) -> ImageDiscriminatorConfig:
    return ImageDiscriminatorConfig(**{**options, "loss": ImageDiscriminatorLoss(**options["loss"])})


def D_S(**options: Any) -> StoryDiscriminatorConfig:
    return StoryDiscriminatorConfig(**{**options, "loss": StoryDiscriminatorLoss(**options["loss"])})


def paper_stage(**changes: Any) -> StageConfig:
    """Return the paper's adversarial stage: 2 iterations of 2 stories."""
    networks = {
        "D_I": D_I(loss={"L_image": 1}),
        "D_S": D_S(loss={"L_story": 1}),
        "G": G(loss={"L_image": 1, "L_story": 1, "L_KL": 1}),
    }
    return StageConfig(**{"iterations": 2, "batch_size": 2, **networks, **changes})


def stages() -> dict[str, StageConfig]:
    """Return four stages of 2 iterations."""
    classifier = AuxClassifierConfig(lr=1e-3, loss=AuxClassifierLoss(label=1, present=1, attributes=1))
    discriminators = {
        "D_I": D_I(loss={"L_image": 1, "r1": 0.5, "label": 1}),
        "D_S": D_S(loss={"L_story": 1, "r1": 1}),
        "mismatched": True,
        "r1_every": 2,
    }
    generator = G(loss={"L_image": 1, "L_story": 1, "L_KL": 1, "mse": 1, "label": 1}, lr_schedule="halving", steps=2)
    return {
        "aux-classifier": StageConfig(iterations=2, batch_size=2, frames=1, C=classifier),
        "reconstruction": StageConfig(
            iterations=2,
            batch_size=2,
            G=G(loss={"mse": 1, "L_KL": 0.01, "aux": 0.01}, lr=1e-3, lr_schedule="cosine", betas=(0.9, 0.999)),
            frames=1,
            shuffle_sentences=True,
            ema=0.5,
        ),
        "discriminators": StageConfig(iterations=2, batch_size=2, **discriminators),
        "adversarial": StageConfig(iterations=2, batch_size=2, G=generator, disc_frames=1, ema=0.5, **discriminators),
    }


def tiny_config(dataset: Path, run: Path, **changes: Any) -> TrainConfig:
    """Return the four stages, 8 iterations, with a checkpoint at the end of each."""
    config = TrainConfig(
        run=str(run),
        data=DataConfig(str(dataset)),
        model=ModelConfig(T=0, noise_dim=10),
        discriminator=DiscriminatorConfig(spectral_norm=True, label_head=True),
        stages=stages(),
        threads=1,
        log_every=1,
        sample_every=8,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def one_stage(dataset: Path, stage: StageConfig, start: InitialWeights | None = None, **changes: Any) -> StageTrainer:
    """Return the trainer of a recipe's only stage, in this process."""
    opened = open_split(dataset, "train")
    config = TrainConfig(
        data=DataConfig(str(dataset)), model=ModelConfig(T=opened.T, noise_dim=10), stages={"stage": stage}, threads=1
    )
    config = replace(config, **changes)
    experiment = Experiment.build(config, opened, Processes(config))
    return StageTrainer(experiment, 0, start or initial_weights(config))


def state_dicts(trainer: StageTrainer) -> dict[str, dict[str, Tensor]]:
    """Return copies of the states of a trainer's networks."""
    return {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in trainer.nets.each().items()
    }


def changed_networks(before: dict[str, dict[str, Tensor]], after: dict[str, dict[str, Tensor]]) -> set[str]:
    """Return the names of the networks of which a parameter or a buffer differs."""
    return {n for n in before if any(not torch.equal(before[n][key], after[n][key]) for key in before[n])}
