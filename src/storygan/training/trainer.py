"""One stage of a run: its networks, optimizers and EMA weights."""

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
from storygan.evaluation.labelled_frames import FrameContent
from storygan.models.baselines import HAS_STORY_DISCRIMINATOR
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.initialization import INITIALIZERS
from storygan.models.model_folder import resolve_model
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN, encode_stories
from storygan.text.encoder import SentenceEncoder, fit_sentence_encoder, has_sentence_encoder
from storygan.training.batches import BatchLoader, derive_seed
from storygan.training.checkpoint import validate_state
from storygan.training.distributed import Processes, norms, running_statistics
from storygan.training.networks import AdversarialRatio, Networks, new_classifier, require_fit
from storygan.training.stage_folder import StageStart
from storygan.training.steps import Terms

HALVING_EPOCHS = 20
"""Of the learning rate schedule `halving` (paper, section 4)."""
SAMPLE_STORIES = 6


@dataclass
class Experiment:
    """What all stages of a run share."""

    config: TrainConfig
    dataset: StoryDataset
    processes: Processes
    sentence_encoder: SentenceEncoder
    S: Tensor
    """(N, T, 128), the sentence vectors of the whole data set."""
    content: FrameContent | None
    """What the frames show, where a stage needs the auxiliary classifier."""

    @classmethod
    def build(cls, config: TrainConfig, dataset: StoryDataset, processes: Processes, *folders: Path) -> Experiment:
        """Encode the sentences: with the encoder in the first of the folders, or in `init_from`, that has one.

        Raises:
            UsageError: the sentence encoder cannot read a sentence.
        """
        saved = next((folder for folder in folders if has_sentence_encoder(folder)), None)
        if saved is None and config.init_from:
            saved = resolve_model(config.init_from)
        encoder = fit_sentence_encoder(config.sentence_encoder, dataset.sentences, saved)
        try:
            S = encode_stories(encoder, dataset.sentences)
        except UsageError as error:
            raise UsageError(f"{error}; sentences in plain English: --sentence_encoder sentence") from error
        content = FrameContent(dataset) if any(stage.needs("C") for stage in config.stages.values()) else None
        return cls(config, dataset, processes, encoder, torch.from_numpy(S), content)

    def stage(self, number: int) -> StageConfig:
        """Return a stage's configuration; without D_S where the variant has none."""
        stage = list(self.config.stages.values())[number]
        if HAS_STORY_DISCRIMINATOR[self.config.model.variant]:
            return stage
        G = replace(stage.G, loss=replace(stage.G.loss, L_story=0.0)) if stage.G else None
        return replace(stage, D_S=None, G=G)


class StageTrainer:
    """The state of one stage.

    Args:
        experiment: of the run.
        number: of the stage, from 0.
        start: the networks that the stage before left.
    """

    def __init__(self, experiment: Experiment, number: int, start: StageStart) -> None:
        config, dataset, processes = experiment.config, experiment.dataset, experiment.processes
        self.config, self.processes, self.experiment, self.number = config, processes, experiment, number
        self.name, self.stage, self.k = list(config.stages)[number], experiment.stage(number), 0
        content = experiment.content if self.stage.needs("C") else None
        self.loader = BatchLoader(config, self.stage, number, dataset, experiment.S, content)
        self.model = self._built("G", start)
        self.model.aspect_ratio = getattr(experiment.dataset, "aspect_ratio", 1.0)
        networks = {name: self._built(name, start) for name in ("D_I", "D_S", "C") if self.stage.needs(name)}
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
        self.ema = None
        if self.stage.ema and self.stage.G:
            average = get_ema_multi_avg_fn(self.stage.ema)
            self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)

    def _built(self, name: str, start: StageStart) -> Any:
        """Build one network as it starts the stage: as the stage before left it, or from the seed."""
        config = self.config
        torch.manual_seed(derive_seed(config.seed, ["G", "D_I", "D_S", "C"].index(name)))
        if name == "C":
            content = cast(FrameContent, self.experiment.content)
            C = start.classifier
            if C is None and self.stage.C is None:
                raise UsageError(
                    f"stages.{self.name}.G.loss.aux is set, but there is no auxiliary classifier: name one "
                    "with --aux_classifier, or train it in a stage before, with C"
                )
            C = C or new_classifier(content, cast(AuxClassifierConfig, self.stage.C).loss)
            require_fit(C, content)
            return C
        if name == "G":
            network: nn.Module = StoryGAN(config.model, self.experiment.sentence_encoder)
        elif name == "D_I":
            labels = self.experiment.dataset.label_names if config.discriminator.label_head else None
            network = ImageDiscriminator(config.discriminator, len(labels or ()))
        else:
            network = StoryDiscriminator(config.model.T, config.discriminator)
        if name == "G" or config.discriminator.norm == "batch":  # without norm they have their own
            INITIALIZERS[config.initialization](network)
        if (state := start.states.get(name)) is not None:
            try:
                network.load_state_dict(state)
            except RuntimeError as error:
                raise UsageError(
                    f"the {name} of the stage before does not fit this configuration: {reason(error)}"
                ) from error
        return network

    def set_modes(self) -> None:
        """Set training or evaluation mode: generating samples in between has changed it."""
        for network in self.nets.each().values():
            network.train()
        if self.nets.C is not None:
            self.nets.C.train(self.stage.C is not None)
        if self.stage.freeze_batch_norm:
            for norm in norms(self.nets.G):
                norm.eval()

    def finish_iteration(self, metrics: Terms) -> None:
        """Average over the processes what each computed for its part of the batch; update the EMA weights."""
        statistics = [value for network in self.nets.each().values() for value in running_statistics(network)]
        self.processes.average([*statistics, *metrics.values()])
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        self.k += 1

    def lr(self, network: NetworkConfig) -> float:
        """Return a network's learning rate in iteration k."""
        if network.lr_schedule == "cosine":
            return network.lr * 0.5 * (1 + math.cos(math.pi * self.k / self.stage.iterations))
        if network.lr_schedule == "halving":
            return network.lr * 0.5 ** (self.k // self.loader.iterations_per_epoch // HALVING_EPOCHS)
        return network.lr

    def inference_model(self) -> StoryGAN:
        """Return the model to generate with: the EMA weights where there are any."""
        return self.model if self.ema is None else cast(StoryGAN, self.ema.module)

    def sample(self) -> np.ndarray:
        """Return real frames and, to their right, generated ones, of the same stories and noise every time:
        (n, 2T, 64, 64, 3)."""
        stories = np.arange(min(SAMPLE_STORIES, len(self.experiment.dataset)))
        noise = Noise.draw(len(stories), self.config.model, seeded(self.config.seed))
        generated = self.inference_model().draw(self.experiment.S[: len(stories)], noise)
        return np.concatenate([self.experiment.dataset.batch(stories), generated], axis=1)

    def _parts(self) -> dict[str, Any]:
        """Everything with a state, by its name in the checkpoint."""
        parts = {**self.nets.each(), **{f"{name}_adam": adam for name, adam in self.optimizers.items()}}
        others = {"ema": self.ema, "adversarial_ratio": self.adversarial_ratio}
        return parts | {name: part for name, part in others.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds. Stories and noise follow from the seed, the stage and `k`."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        return {**state, "stage": self.name, "k": self.k}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises UsageError where it is not of these networks and optimizers."""
        try:
            for name, part in self._parts().items():
                part.load_state_dict(validate_state(part, state.get(name), name))
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"the checkpoint does not fit this configuration: {reason(error)}; give the run's own, or remove the "
                f"newest file in {self.config.run}/checkpoints to go on from the one before"
            ) from error
        self.k = state["k"]


@contextmanager
def report_out_of_memory(config: TrainConfig) -> Iterator[None]:
    """Turn whatever the block raises for want of memory into one line that says what to lower.

    Raises:
        StoryganError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if out_of_memory(error):
            largest = max(stage.batch_size for stage in config.stages.values())
            raise StoryganError(f"out of memory: lower batch_size, it is {largest}; the checkpoints stay") from error
        raise
