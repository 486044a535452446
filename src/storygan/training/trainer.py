"""The trainer of one stage: networks, optimizers and EMA weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from storygan.config import AuxClassifierConfig, NetworkConfig, StageConfig, TrainConfig
from storygan.data.dataset import StoryDataset
from storygan.errors import StoryganError, UsageError, out_of_memory, reason
from storygan.evaluation.labelled_frames import LabelledFrames
from storygan.models.accelerate import accelerate
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.initialization import INITIALIZERS
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN, encode_stories, resolve_model
from storygan.text.encoder import SentenceEncoder, fit_sentence_encoder, has_sentence_encoder
from storygan.training.batches import BatchLoader, derive_seed, frames_on_device
from storygan.training.checkpoint import load_state
from storygan.training.distributed import Processes, batch_norms, running_statistics
from storygan.training.networks import AdversarialRatio, Networks, new_classifier, require_fit
from storygan.training.stage_folder import InitialWeights
from storygan.training.steps import Terms

HALVING_EPOCHS = 20
"""Epochs after which `lr_schedule: halving` halves the learning rate (paper, section 4)."""
SAMPLE_STORIES = 6
"""Stories in a sample image."""


@dataclass
class Experiment:
    """The parts that all stages of a run share."""

    config: TrainConfig
    dataset: StoryDataset
    processes: Processes
    sentence_encoder: SentenceEncoder
    S: Tensor
    """(N, T, 128), the sentence vectors of the whole data set."""
    content: LabelledFrames | None
    """Labels and objects of the frames, for the auxiliary classifier; None if no stage needs it."""
    frames: Tensor | None
    """(N, T, H, W, 3) uint8, all frames on the GPU if they fit."""

    @classmethod
    def build(cls, config: TrainConfig, dataset: StoryDataset, processes: Processes, *folders: Path) -> Experiment:
        """Encode the sentences of a data set.

        Args:
            config: of the run.
            dataset: the training stories.
            processes: those that train together.
            folders: the first that has a sentence encoder is used; without one, that of `init_from`, or a new one.

        Raises:
            UsageError: the sentence encoder cannot parse a sentence.
        """
        saved = next((folder for folder in folders if has_sentence_encoder(folder)), None)
        if saved is None and config.init_from:
            saved = resolve_model(config.init_from)
        frames = dataset.frames
        cache = Path(frames.filename).parent if isinstance(frames, np.memmap) and frames.filename else None
        encoder = fit_sentence_encoder(config.sentence_encoder, dataset.sentences, saved, cache)
        try:
            S = encode_stories(encoder, dataset.sentences, cache)
        except UsageError as error:
            raise UsageError(f"{error}; sentences in plain English: --sentence_encoder sentence") from error
        content = (
            LabelledFrames.from_dataset(dataset) if any(stage.needs("C") for stage in config.stages.values()) else None
        )
        frames_on_gpu = frames_on_device(dataset, processes.fabric.device)
        return cls(config, dataset, processes, encoder, torch.from_numpy(S), content, frames_on_gpu)

    def stage(self, number: int) -> StageConfig:
        """Return a stage's configuration, without D_S for `imagegan`, which has none."""
        stage = list(self.config.stages.values())[number]
        if self.config.model.variant != "imagegan":
            return stage
        G = stage.G
        if G:
            loss = replace(G.loss, L_story=0.0)
            G = replace(G, loss=loss, adversarial_ratio=G.adversarial_ratio if loss.adversarial else 0.0)
        return replace(stage, D_S=None, G=G)


class StageTrainer:
    """The state of one stage.

    Args:
        experiment: the parts that all stages share.
        number: index of the stage, from 0.
        start: the networks to start from.
    """

    def __init__(self, experiment: Experiment, number: int, start: InitialWeights) -> None:
        config, dataset, processes = experiment.config, experiment.dataset, experiment.processes
        self.config, self.processes, self.experiment, self.number = config, processes, experiment, number
        self.name, self.stage, self.k = list(config.stages)[number], experiment.stage(number), 0
        content = experiment.content if self.stage.needs("C") else None
        self.loader = BatchLoader(config, self.stage, number, dataset, experiment.S, content, experiment.frames)
        self.model = self._build("G", start)
        self.model.aspect_ratio = experiment.dataset.aspect_ratio
        networks = {name: self._build(name, start) for name in ("D_I", "D_S", "C") if self.stage.needs(name)}
        self.nets = Networks(self.model, **networks, fabric=processes.fabric)
        self.optimizers: dict[str, Any] = {}
        for name, network in self.nets.each().items():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
            if name in (learning := self.stage.learning()):
                adam = torch.optim.Adam(
                    network.parameters(), lr=learning[name].lr, betas=learning[name].betas, fused=True
                )
                wrapped, self.optimizers[name] = processes.fabric.setup(network, adam)
            else:
                wrapped = processes.fabric.setup_module(network.requires_grad_(False))
            setattr(self.nets, name, wrapped)
        ratio = self.stage.G.adversarial_ratio if self.stage.G else 0.0
        self.adversarial_ratio = AdversarialRatio(ratio, processes).to(processes.fabric.device) if ratio else None
        self.penalties: Terms = {}  # R1 and R2 as last computed: the log has them in iterations that compute none
        self.ema = None
        if self.stage.ema and self.stage.G:
            average = get_ema_multi_avg_fn(self.stage.ema)
            self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)

    def _build(self, name: str, start: InitialWeights) -> Any:
        """Build a network and load its initial weights, or initialize it from the seed."""
        config = self.config
        torch.manual_seed(derive_seed(config.seed, ["G", "D_I", "D_S", "C"].index(name)))
        if name == "C":
            content = cast(LabelledFrames, self.experiment.content)
            C = start.classifier
            if C is None and self.stage.C is None:
                raise UsageError(
                    f"stages.{self.name}.G.loss.aux is set, but there is no auxiliary classifier: name one "
                    "with --aux_classifier, or train it in an earlier stage, with C"
                )
            C = C or new_classifier(content, cast(AuxClassifierConfig, self.stage.C).loss)
            require_fit(C, content)
            return C
        if name == "G":
            network: nn.Module = StoryGAN(config.model, self.experiment.sentence_encoder)
        elif name == "D_I":
            labels = self.experiment.dataset.label_names if config.discriminator.label_head else None
            network = ImageDiscriminator(config.discriminator, len(labels or ()), config.model.image_size)
        else:
            network = StoryDiscriminator(config.model.T, config.discriminator, config.model.image_size)
        if name == "G" or config.discriminator.norm == "batch":  # without norm, they initialize themselves
            INITIALIZERS[config.initialization](network)
        if (state := start.states.get(name)) is not None:
            try:
                network.load_state_dict(state)
            except RuntimeError as error:
                raise UsageError(
                    f"the {name} of the previous stage does not fit this configuration: {reason(error)}"
                ) from error
        return accelerate(network)

    @property
    def step(self) -> int:
        """Finished iterations of the whole run."""
        return sum(stage.iterations for stage in list(self.config.stages.values())[: self.number]) + self.k

    def set_modes(self) -> None:
        """Set training mode, and evaluation mode for frozen parts; generating samples changes it."""
        for network in self.nets.each().values():
            network.train()
        if self.nets.C is not None:
            self.nets.C.train(self.stage.C is not None)
        if self.stage.freeze_batch_norm:
            for layer in batch_norms(self.nets.G):
                layer.eval()

    def finish_iteration(self, metrics: Terms) -> None:
        """Average running statistics and metrics over the processes; update the EMA weights and `k`."""
        statistics = [value for network in self.nets.each().values() for value in running_statistics(network)]
        self.processes.average([*statistics, *metrics.values()])
        self.penalties |= {name: value for name, value in metrics.items() if name.endswith(("/r1", "/r2"))}
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        self.k += 1

    def lr(self, network: NetworkConfig) -> float:
        """Return a network's learning rate in iteration k."""
        lr = network.lr
        if self.k < network.lr_warmup:
            lr *= (self.k + 1) / network.lr_warmup
        if network.lr_schedule == "cosine":
            lr *= 0.5 * (1 + math.cos(math.pi * self.k / self.stage.iterations))
        elif network.lr_schedule == "halving":
            lr *= 0.5 ** (self.k // self.loader.iterations_per_epoch // HALVING_EPOCHS)
        return lr

    def inference_model(self) -> StoryGAN:
        """Return the model with EMA weights, or without EMA the model itself."""
        return self.model if self.ema is None else cast(StoryGAN, self.ema.module)

    def sample(self) -> np.ndarray:
        """Return real and generated frames of fixed stories and noise: uint8 (n, 2T, 64, 64, 3)."""
        stories = np.arange(min(SAMPLE_STORIES, len(self.experiment.dataset)))
        noise = Noise.sample(len(stories), self.config.model, seeded(self.config.seed))
        generated = self.inference_model().sample(self.experiment.S[: len(stories)], noise)
        return np.concatenate([self.experiment.dataset.batch(stories), generated], axis=1)

    def _parts(self) -> dict[str, Any]:
        """Return all parts that have a state, by their names in the checkpoint."""
        parts = {**self.nets.each(), **{f"{name}_adam": adam for name, adam in self.optimizers.items()}}
        others = {"ema": self.ema, "adversarial_ratio": self.adversarial_ratio}
        return parts | {name: part for name, part in others.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint. Stories and noise follow from the seed, the stage and `k`."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        return {**state, "penalties": self.penalties, "stage": self.name, "k": self.k}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a checkpoint. Raises UsageError where it does not fit the networks and optimizers."""
        try:
            for name, part in self._parts().items():
                load_state(part, state.get(name), name)
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"the checkpoint does not fit this configuration: {reason(error)}; give the run's own, or remove the "
                f"newest file in {self.config.run}/checkpoints to resume from the one before"
            ) from error
        self.penalties = state["penalties"]
        self.k = state["k"]


@contextmanager
def report_out_of_memory(config: TrainConfig) -> Iterator[None]:
    """Raise StoryganError, which says what to lower, where the block runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if out_of_memory(error):
            largest = max(stage.batch_size for stage in config.stages.values())
            raise StoryganError(f"out of memory: lower batch_size, it is {largest}; the checkpoints stay") from error
        raise
