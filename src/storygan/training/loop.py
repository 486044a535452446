"""The training loop: `train(config)` makes a run folder; `train(config, resume=True)` goes on with one, bit for bit."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from storygan.config import TrainConfig
from storygan.data.clevr.untold import shown_objects
from storygan.data.dataset import StoryDataset, open_split
from storygan.models.baselines import HAS_STORY_DISCRIMINATOR
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.initialize import STARTS
from storygan.models.model_folder import resolve_model
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN
from storygan.text.encoder import fit_sentence_encoder
from storygan.training import steps
from storygan.training.batches import drawn_frames, indices, iterations_per_epoch, judged_frames, load_batch, orders
from storygan.training.coupled_noise import CoupledNoise
from storygan.training.memory import told_when_out_of_memory
from storygan.training.processes import Processes, norms, running_statistics
from storygan.training.run_folder import MODEL, RunFolder, UnwrittenRunFolder
from storygan.training.saved_state import fitting, rng_like
from storygan.training.stop import Stop, stopped
from storygan.training.teacher import Teacher
from storygan.types import StoryganError, UsageError, reason

SAMPLE_STORIES = 6


def train(config: TrainConfig, resume: bool = False) -> Path | None:
    """Train one configuration, from the start or from the newest checkpoint of its run folder.

    Returns:
        The model folder, `RUN/model`, ready for `StoryGAN.from_pretrained`; None in the processes that write nothing.

    Raises:
        UsageError: the configuration does not fit the data, or the run folder is not as `resume` says.
        StoryganError: a loss or a weight is not finite, memory or disk is full, another process has the run; the last
            good checkpoint stays.
        Stopped: SIGTERM or Ctrl-C; the iterations done are saved.
    """
    torch.set_flush_denormal(True)  # before any worker thread exists: they inherit it
    with told_when_out_of_memory(config.batch_size), Processes(config) as processes, ExitStack() as opened:
        torch.set_num_threads(config.threads or processes.cores)
        with processes.together():
            dataset = open_split(config.data.path, config.data.split)
            check_fit(config, dataset, processes.number)
            folder = RunFolder if processes.first else UnwrittenRunFolder
            run = folder(config, resume, dataset.fingerprint, len(dataset))
            opened.enter_context(run)
            trainer = Trainer.build(config, dataset, processes)
        processes.require_same(dataset.fingerprint, trainer.S)
        checkpoint = processes.from_first(run.checkpoint)
        with processes.together():
            if checkpoint:
                trainer.load_state_dict(checkpoint)
            elif config.start:
                trainer.start_from(config.start)
            run.begin()
            if checkpoint:  # a process that was killed after its last checkpoint left the model before it
                run.save_model(trainer.k, trainer.drawn_with())
        stop, progress = opened.enter_context(Stop(processes.first)), progress_bar(trainer)
        opened.enter_context(progress)
        while trainer.k < config.iterations:
            metrics = trainer.iteration()
            progress.update()
            k, last, stopping = trainer.k, trainer.k == config.iterations, processes.most(stop.signal)
            due = [k % n == 0 or last for n in (config.log_every, config.sample_every, config.checkpoint_every)]
            if not (any(due) or stopping):
                continue
            logged, sampled, scheduled = due
            with processes.together():
                if logged:
                    values = finite(metrics, k, run.checkpoints)
                    run.log(k, values)
                    rate = (progress.format_dict["rate"] or 0.0) * config.batch_size
                    shown = {name: f"{value:.3g}" for name, value in values.items()}
                    progress.set_postfix({"stories/s": f"{rate:.1f}", **shown})
                if sampled:
                    run.save_samples(k, trainer.sample())
                if scheduled or stopping:
                    finite(metrics, k, run.checkpoints)
                    saved = run.save_checkpoint(k, trainer.state_dict(), prune=scheduled)
                    run.save_model(k, trainer.drawn_with())
                if stopping and not last:
                    raise stopped(stopping, saved, run.path)
    return run.path / MODEL if processes.first else None


def check_fit(config: TrainConfig, dataset: StoryDataset, processes: int = 1) -> None:
    """Raise UsageError where the configuration asks for what the data set, or the number of processes, is not."""
    if dataset.T != config.model.T:
        raise UsageError(f"model.T is {config.model.T}, but the stories of {config.data.path} have {dataset.T} frames")
    if dataset.size != 64:
        raise UsageError(f"the model draws 64x64 frames, but those of {config.data.path} are {dataset.size} wide")
    for name, n in {"discriminator": config.discriminator.frames, "warm_up": config.warm_up.frames}.items():
        if not 0 <= n <= dataset.T:
            raise UsageError(f"{name}.frames is {n}: a story has {dataset.T} frames")
    if config.warm_up.any_order and config.warm_up.frames in (0, dataset.T):
        raise UsageError(
            "warm_up.any_order is on, but all frames are drawn, which one order alone leaves as they are: set "
            f"warm_up.frames to 1 to {dataset.T - 1}"
        )
    if len(dataset) < config.batch_size:
        raise UsageError(f"batch_size is {config.batch_size}, but {config.data.path} has {len(dataset)} stories")
    if config.batch_size % processes or config.batch_size < 2 * processes:
        raise UsageError(
            f"batch_size is {config.batch_size}: {processes} processes share a batch out evenly, and batch "
            "normalisation needs at least 2 stories in each"
        )
    if config.discriminator.label_head and dataset.labels is None:
        raise UsageError(f"discriminator.label_head is on, but the stories of {config.data.path} have no labels")


def sentence_vectors(model: StoryGAN, dataset: StoryDataset) -> torch.Tensor:
    """(N, T, 128), of all stories. UsageError where the sentence encoder does not read one."""
    try:
        return torch.from_numpy(model.encode(dataset.sentences))
    except UsageError as error:
        raise UsageError(f"{error}; sentences in plain English: --sentence_encoder sentence") from error


def progress_bar(trainer: Trainer) -> Any:
    """Of the iterations, in the first process."""
    return tqdm(
        total=trainer.config.iterations,
        initial=trainer.k,
        unit="it",
        dynamic_ncols=True,
        smoothing=0.05,
        disable=not trainer.processes.first,
    )


def finite(metrics: steps.Metrics, k: int, checkpoints: Path) -> dict[str, float]:
    """The metrics as numbers. Raises StoryganError where one is not finite."""
    values = {name: value.item() for name, value in metrics.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise StoryganError(
                f"{name} is {value} at iteration {k}: training stops; the last good checkpoint is in {checkpoints} "
                "(resume from it with a lower learning rate)"
            )
    return values


@dataclass
class Trainer:
    """Networks, optimizers and what else changes from one iteration to the next."""

    config: TrainConfig
    dataset: StoryDataset
    S: torch.Tensor
    """(N, T, 128), the sentence vectors of the whole data set."""
    processes: Processes
    model: StoryGAN
    networks: steps.Networks
    optimizers: steps.Optimizers
    ema: AveragedModel | None
    rng: torch.Generator
    """Where all noise comes from."""
    teacher: Teacher | None = None
    coupled: CoupledNoise | None = None
    objects: torch.Tensor | None = None
    """(N, 64, 64) int8, which object a pixel of the last frame shows, -1 for none, where they count more."""
    k: int = 0
    """Iterations done."""

    @classmethod
    def build(cls, config: TrainConfig, dataset: StoryDataset, processes: Processes | None = None) -> Trainer:
        """Everything at its start, from `config.seed`."""
        processes = processes or Processes(config)
        fabric = processes.fabric
        saved = Path(config.run) / MODEL
        if config.start and not saved.exists():
            saved = resolve_model(config.start)
        sentence_encoder = fit_sentence_encoder(config.sentence_encoder, dataset.sentences, saved)
        torch.manual_seed(config.seed)
        model = StoryGAN(config.model, sentence_encoder)
        n_labels = len(dataset.label_names or ()) if config.discriminator.label_head else 0
        D_I = ImageDiscriminator(config.discriminator, n_labels)
        has_story = HAS_STORY_DISCRIMINATOR[config.model.variant]
        D_S = StoryDiscriminator(config.model.T, config.discriminator) if has_story else None
        if config.initialization != "dcgan":  # which the model has from its own making
            STARTS[config.initialization](model)
        for discriminator in (D_I, D_S):
            if discriminator is not None:
                STARTS[config.initialization](discriminator)
        coupled = CoupledNoise(dataset, config.model.noise_dim) if config.coupled_noise else None
        G_, G_adam = _setup(fabric, model, config.adam.lr_generator, config)
        D_I_, D_I_adam = _setup(fabric, D_I, config.adam.lr_discriminator, config)
        D_S_, D_S_adam = (None, None) if D_S is None else _setup(fabric, D_S, config.adam.lr_discriminator, config)
        return cls(
            config=config,
            dataset=dataset,
            S=sentence_vectors(model, dataset),
            processes=processes,
            model=model,
            networks=steps.Networks(G_, D_I_, D_S_),
            optimizers=steps.Optimizers(G_adam, D_I_adam, D_S_adam),
            ema=AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
            if config.ema
            else None,
            rng=torch.Generator().manual_seed(config.seed),
            teacher=Teacher(config.teacher, dataset, coupled) if config.teacher else None,
            coupled=coupled,
            objects=torch.from_numpy(shown_objects(dataset)) if config.warm_up.object_weight != 1 else None,
        )

    def start_from(self, name: str) -> None:
        """Take the weights of another model (`StoryGAN.from_pretrained`). UsageError where it is of another shape."""
        start = StoryGAN.from_pretrained(name)
        mine = vars(self.config.model)
        if other := [f"--model.{key} {value}" for key, value in vars(start.config).items() if value != mine[key]]:
            raise UsageError(f"start: {name} is another model than this run's: to go on from it, add {' '.join(other)}")
        self.model.load_state_dict(start.state_dict())

    def iteration(self) -> steps.Metrics:
        """One iteration on one batch of stories: the warm-up's, the discriminators' or the paper's.

        Stories and noise are chosen for the whole batch in each process, which then takes its part.
        """
        config, k, nets, adams, fabric = self.config, self.k, self.networks, self.optimizers, self.processes.fabric
        part = self.processes.part(config.batch_size)
        chosen = indices(len(self.dataset), config.batch_size, config.seed, k)
        batch = load_batch(self.dataset, self.S, chosen[part], config.discriminator.label_head).to(fabric.device)
        warming, shown = k < config.warm_up.iterations, np.tile(np.arange(config.model.T), (config.batch_size, 1))
        if warming and (n := config.warm_up.frames):
            shown = drawn_frames(config.batch_size, config.model.T, n, config.seed, k)
            batch = batch.of_drawn(torch.from_numpy(shown[part]).to(fabric.device))
        if warming and self.objects is not None:
            batch.counts = self._counts(chosen[part], shown[part]).to(fabric.device)
        if self.teacher is not None:
            rng = np.random.default_rng((config.seed, k))
            batch.lesson = partial(self.teacher.loss, chosen=chosen, shown=shown, rng=rng, part=part)
        if n := config.discriminator.frames:
            judged = judged_frames(config.batch_size, config.model.T, n, config.seed, k)[part]
            batch.judged = torch.from_numpy(judged).to(fabric.device)
        draws = [self._noise(chosen)[part].to(fabric.device) for _ in range(config.warm_up.drawings if warming else 1)]
        if warming and config.warm_up.any_order:
            order = torch.from_numpy(orders(shown, config.model.T, config.seed, k)[part]).to(fabric.device)
            batch, draws = batch.told_in(order), [noise.told_in(order) for noise in draws]
        self._set_rates()
        if config.warm_up.fixed_norms:
            for norm in norms(nets.G):
                norm.train(not warming)
        fake = steps.generate(nets.G, batch.S, steps.nearest_noise(nets.G, batch, draws), batch.drawn)
        if warming:
            metrics = steps.warm_up_generator(fabric, adams, batch, fake, config.warm_up)
        else:
            metrics = steps.update_image_discriminator(fabric, nets, adams, batch, fake, config.loss, k)
            metrics |= steps.update_story_discriminator(fabric, nets, adams, batch, fake, config.loss, k)
            if k >= config.warm_up.until:
                metrics |= steps.update_generator(fabric, nets, adams, batch, fake, config.loss)
        statistics = [value for network in vars(nets).values() for value in running_statistics(network)]
        self.processes.average([*statistics, *metrics.values()])
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        self.k += 1
        return metrics

    def _noise(self, chosen: np.ndarray) -> Noise:
        """Of a whole batch of stories, which are the `chosen` ones."""
        noise = Noise.draw(len(chosen), self.config.model, self.rng)
        return noise if self.coupled is None else self.coupled.couple(noise, chosen)

    def _counts(self, chosen: np.ndarray, shown: np.ndarray) -> torch.Tensor:
        """How often each pixel of the frames `shown` (B, n) of the B stories `chosen` counts, (B, n, 1, 64, 64)."""
        assert self.objects is not None
        of_pixel = self.objects[torch.from_numpy(chosen), None, None]  # (B, 1, 1, 64, 64)
        told = (of_pixel >= 0) & (of_pixel <= torch.from_numpy(shown)[:, :, None, None, None])
        return 1 + (self.config.warm_up.object_weight - 1) * told.float()

    def _set_rates(self) -> None:
        """Adam's rates for iteration `k`; the generator's moments start anew where the warm-up ends."""
        adam, warm_up = self.config.adam, self.config.warm_up
        warming = self.k < warm_up.iterations
        epoch = max(self.k - warm_up.until, 0) // iterations_per_epoch(len(self.dataset), self.config.batch_size)
        decay = 0.5 ** (epoch // adam.halve_every_epochs) if adam.halve_every_epochs else 1.0
        if self.k == warm_up.iterations:
            self.optimizers.G.state.clear()
        for optimizer in (self.optimizers.D_I, self.optimizers.D_S):
            if optimizer is not None:
                optimizer.param_groups[0]["lr"] = adam.lr_discriminator * decay
        group = self.optimizers.G.param_groups[0]
        falling = 0.5 * (1 + math.cos(math.pi * self.k / warm_up.iterations)) if warming and warm_up.cosine else 1.0
        group["lr"] = warm_up.lr * falling if warming else adam.lr_generator * decay
        group["betas"] = (warm_up.beta1 if warming else adam.beta1, adam.beta2)

    def drawn_with(self) -> StoryGAN:
        """The model that is drawn with and exported: the averaged weights where there are any."""
        return self.model if self.ema is None else cast(StoryGAN, self.ema.module)

    def sample(self) -> np.ndarray:
        """Real frames on the left, the model's on the right; always the same stories and noise: (n, 2T, 64, 64, 3)."""
        stories = np.arange(min(SAMPLE_STORIES, len(self.dataset)))
        noise = Noise.draw(len(stories), self.config.model, torch.Generator().manual_seed(self.config.seed))
        drawn = self.drawn_with().draw(self.S[: len(stories)], noise)
        return np.concatenate([self.dataset.batch(stories), drawn], axis=1)

    def _parts(self) -> dict[str, Any]:
        """Everything with a state, by its name in the checkpoint."""
        nets, adams = self.networks, self.optimizers
        parts = {"G": nets.G, "D_I": nets.D_I, "D_S": nets.D_S, "ema": self.ema}
        parts |= {"G_adam": adams.G, "D_I_adam": adams.D_I, "D_S_adam": adams.D_S}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds. The position in the data is `step` (`batches.indices`)."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        return {**state, "rng": self.rng.get_state(), "step": self.k, "config": self.config.to_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises UsageError where it is not of these networks and optimizers."""
        try:
            for name, part in self._parts().items():
                part.load_state_dict(fitting(part, state.get(name), name))
            self.rng.set_state(rng_like(self.rng, state.get("rng"), "rng"))
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"the checkpoint does not fit this configuration: {reason(error)}; give the run's own, or remove the "
                f"newest file in {self.config.run}/checkpoints to go on from the one before"
            ) from error
        self.k = state["step"]


def _setup(fabric: Fabric, network: torch.nn.Module, lr: float, config: TrainConfig) -> tuple[Any, Any]:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    adam = torch.optim.Adam(network.parameters(), lr=lr, betas=(config.adam.beta1, config.adam.beta2), fused=True)
    return fabric.setup(network, adam)
