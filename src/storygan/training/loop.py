"""The training loop: `train(config)` runs the stages of a recipe into a run folder; `train(config, resume=True)` goes
on with one, bit for bit."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from storygan.config import TrainConfig
from storygan.data.dataset import open_split
from storygan.signals import GracefulShutdown, shutdown_error
from storygan.training.check_fit import check_fit
from storygan.training.distributed import Processes
from storygan.training.networks import frozen
from storygan.training.run_folder import MODEL, RunFolder, UnwrittenRunFolder
from storygan.training.steps import LOSSES, Terms, generate
from storygan.training.trainer import Experiment, StageTrainer, report_out_of_memory
from storygan.training.validation import Validation


def train(
    config: TrainConfig,
    resume: bool = False,
    from_stage: tuple[str, str | Path] | None = None,
    until: int | None = None,
) -> Path | None:
    """Train one configuration, from the start or from the newest checkpoint of its run folder.

    Args:
        config: complete.
        resume: go on with the run.
        from_stage: name of a stage, and the folder that the stage before it left: start there.
        until: iterations of the whole run after which to save and return; None: all.

    Returns:
        The model folder, `RUN/model`, ready for `StoryGAN.from_pretrained`; None in the processes that write nothing.

    Raises:
        UsageError: the configuration does not fit the data, or the run folder is not as `resume` says.
        StoryganError: a loss or a weight is not finite, memory or disk is full, another process has the run; the last
            good checkpoint stays.
        Stopped: SIGTERM or Ctrl-C; the iterations done are saved.
    """
    torch.set_flush_denormal(True)  # before any worker thread exists: they inherit it
    with report_out_of_memory(config), Processes(config) as processes, ExitStack() as opened:
        torch.set_num_threads(config.threads or processes.cores)
        with processes.sync_errors():
            dataset = open_split(config.data.path, config.data.split)
            config = replace(config, model=replace(config.model, T=config.model.T or dataset.T))
            check_fit(config, dataset, processes.number)
            run = (RunFolder if processes.first else UnwrittenRunFolder)(config, resume, dataset, from_stage)
            opened.enter_context(run)
            experiment = Experiment.build(config, dataset, processes, *run.encoder_folders())
            validation = Validation(config) if processes.first and config.validation.every else None
        processes.assert_synced(dataset.fingerprint, experiment.S)
        first, checkpoint = processes.broadcast_from_first((run.first_stage, run.checkpoint))

        def build(number: int) -> StageTrainer:
            with processes.sync_errors():
                start = run.start_of(number)
            return StageTrainer(experiment, number, processes.broadcast_from_first(start))

        trainer = build(first)
        if checkpoint:
            trainer.load_state_dict(checkpoint)
        with processes.sync_errors():
            run.begin()
        stop = opened.enter_context(GracefulShutdown(processes.first))
        progress = opened.enter_context(progress_bar(config, run.step, processes.first))
        for number in range(first, len(config.stages)):
            trainer = trainer if number == first else build(number)
            if not run_stage(trainer, run, validation, stop, progress, until or config.iterations):
                break
            with processes.sync_errors():
                run.save_stage(number, trainer)
    return run.path / MODEL if processes.first else None


def run_stage(
    trainer: StageTrainer,
    run: RunFolder,
    validation: Validation | None,
    stop: GracefulShutdown,
    progress: Any,
    until: int,
) -> bool:
    """Train a stage, with logs, samples and checkpoints on the way; return whether it ends before `until`."""
    config, processes = trainer.config, trainer.processes
    run.refresh_model(trainer)
    while trainer.k < trainer.stage.iterations:
        if run.step_of(trainer) >= until:
            return False
        metrics = iteration(trainer)
        progress.update()
        step, stopping = run.step_of(trainer), processes.most(stop.signal)
        last = trainer.k == trainer.stage.iterations or step == until
        log, sample, save, validate = (
            n > 0 and (step % n == 0 or last)
            for n in (config.log_every, config.sample_every, config.checkpoint_every, config.validation.every)
        )
        if not (log or sample or save or validate or stopping):
            continue
        with processes.sync_errors():
            values = run.finite(metrics, step)
            if log:
                run.log(trainer, values)
                progress.set_description(trainer.name)
                progress.set_postfix({name: f"{value:.3g}" for name, value in values.items()})
            if validate and validation:
                run.log_validation(trainer, validation(trainer.inference_model()))
            if sample:
                run.save_samples(step, trainer.sample(), trainer.model.aspect_ratio)
            if save or stopping:
                saved = run.save_checkpoint(trainer, prune=save)
            if stopping and step < config.iterations:
                raise shutdown_error(stopping, saved, run.path)
    return True


def iteration(trainer: StageTrainer) -> Terms:
    """Take one iteration: one Adam step, or several, of every network that learns, in the paper's order.

    Returns:
        The terms of the networks' losses, without their weights, as `D_I/L_image`; detached scalars.
    """
    stage, nets, loader, k = trainer.stage, trainer.nets, trainer.loader, trainer.k
    part = trainer.processes.part(stage.batch_size)  # of several processes, this one's
    batch = loader.load(k, part).to(nets.fabric.device)
    trainer.set_modes()
    fake: Any = None  # `Generated`, once a network needs it
    samples, metrics = 0, Terms()
    for name, network in stage.learning().items():  # D_I, D_S, C, G
        optimizer, weights = trainer.optimizers[name], vars(network.loss)
        optimizer.param_groups[0]["lr"] = trainer.lr(network)
        for step in range(network.steps):
            if name != "C" and (fake is None or step > 0):
                noise = loader.noise(batch, k, part, samples).to(nets.fabric.device)
                with torch.set_grad_enabled(stage.G is not None), frozen(*([] if stage.G else [nets.G])):
                    fake = generate(nets, batch, noise)
                samples += 1
            with frozen(*nets.others(name)):
                terms = LOSSES[name](nets, batch, fake, network.loss, stage, k)
                weighted = {term: weights[term] * value for term, value in terms.items() if term in weights}
                optimizer.zero_grad()
                if name == "G" and trainer.adversarial_ratio is not None:
                    terms["adversarial_scale"] = trainer.adversarial_ratio.backward(weighted, fake.X_hat)
                else:
                    nets.fabric.backward(sum(weighted.values()))
                optimizer.step()
        metrics |= {f"{name}/{term}": value.detach() for term, value in terms.items()}
    trainer.finish_iteration(metrics)
    return metrics


def progress_bar(config: TrainConfig, step: int, shown: bool) -> Any:
    """Return a bar of the iterations of all stages."""
    return tqdm(total=config.iterations, initial=step, unit="it", dynamic_ncols=True, smoothing=0.05, disable=not shown)
