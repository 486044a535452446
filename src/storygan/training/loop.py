"""The training loop: `train(config)` trains the stages of a recipe into a run folder.

`train(config, resume=True)` continues a run from its newest checkpoint, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from storygan.config import TrainConfig
from storygan.models.devices import find_device, resolve_precision
from storygan.progress import tqdm
from storygan.signals import GracefulShutdown
from storygan.training.callbacks import Callback, CallbackList
from storygan.training.check_fit import check_fit, open_training_data
from storygan.training.distributed import Processes
from storygan.training.loggers import Logger
from storygan.training.networks import frozen
from storygan.training.run_folder import MODEL, NullRunFolder, RunFolder
from storygan.training.steps import LOSSES, Terms, generate
from storygan.training.trainer import Experiment, StageTrainer, report_out_of_memory
from storygan.training.validation import Validation


def train(
    config: TrainConfig,
    resume: bool = False,
    from_stage: tuple[str, str | Path] | None = None,
    until: int | None = None,
    *,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
) -> Path | None:
    """Train a configuration, from the start or from the newest checkpoint of its run folder.

    Args:
        config: complete configuration.
        resume: continue the run.
        from_stage: name of a stage to start at, and the stage folder of the stage before it.
        until: iterations of the whole run after which to save and return; None: all.
        callbacks: code of one's own: see `Callback`.
        loggers: besides `metrics.jsonl` and TensorBoard: `WandbLogger()`, `TrackioLogger()`, or see `Logger`.

    Returns:
        The model folder, `RUN/model`, for `StoryGAN.from_pretrained`; None in processes other than the main one.

    Raises:
        UsageError: the configuration does not fit the data, or the run folder does not fit `resume`.
        StoryganError: a loss or weight is not finite, memory or disk is full, or another process uses the run folder;
            the last good checkpoint stays.
        Interrupted: on one of `signals.SIGNALS`; the finished iterations are saved.
    """
    torch.set_flush_denormal(True)  # before worker threads exist: they inherit it
    config = replace(config, precision=resolve_precision(config.precision, find_device(config.device)))
    with report_out_of_memory(config), Processes(config) as processes, ExitStack() as stack:
        torch.set_num_threads(config.threads or processes.cores)
        with processes.sync_errors():
            config, dataset = open_training_data(config)
            check_fit(config, dataset, processes.world_size)
            folder = RunFolder if processes.is_main else NullRunFolder
            run = stack.enter_context(folder(config, resume, dataset, from_stage, loggers))
            experiment = Experiment.build(config, dataset, processes, *run.encoder_folders())
            validation = Validation(config) if processes.is_main and config.validation.every else None
        processes.assert_synced(dataset.fingerprint, experiment.S)
        first, checkpoint = processes.broadcast((run.first_stage, run.checkpoint))

        def build(number: int) -> StageTrainer:
            with processes.sync_errors():
                weights = run.initial_weights(number)
            return StageTrainer(experiment, number, processes.broadcast(weights))

        trainer = build(first)
        if checkpoint:
            trainer.load_state_dict(checkpoint)
        with processes.sync_errors():
            run.begin()
        hooks = CallbackList(callbacks, processes)
        hooks.call("on_train_start", trainer)
        shutdown = stack.enter_context(GracefulShutdown(verbose=processes.is_main))
        progress = stack.enter_context(
            tqdm(
                total=config.iterations,
                initial=run.step,
                unit="it",
                dynamic_ncols=True,
                smoothing=0.05,
                disable=not processes.is_main,
            )
        )
        for number in range(first, len(config.stages)):
            trainer = trainer if number == first else build(number)
            if not run_stage(trainer, run, validation, hooks, shutdown, progress, until or config.iterations):
                break
            with processes.sync_errors():
                run.save_stage(number, trainer)
        hooks.call("on_train_end", trainer)
    return run.path / MODEL if processes.is_main else None


def run_stage(
    trainer: StageTrainer,
    run: RunFolder,
    validation: Validation | None,
    hooks: CallbackList,
    shutdown: GracefulShutdown,
    progress: Any,
    until: int,
) -> bool:
    """Train a stage, with logs, validation, samples and checkpoints. Return False if the run ends in it."""
    config, processes = trainer.config, trainer.processes
    run.save_model(trainer)
    stop = processes.all_reduce_max(run.out_of_patience)
    while trainer.k < trainer.stage.iterations:
        if stop or trainer.step >= until:
            return False
        metrics = iteration(trainer)
        progress.update()
        hooks.call("on_iteration_end", trainer, metrics)
        step, signal = trainer.step, processes.all_reduce_max(shutdown.signal)
        last = trainer.k == trainer.stage.iterations or step == until
        log, sample, save, validate = (
            every > 0 and (step % every == 0 or last)
            for every in (config.log_every, config.sample_every, config.checkpoint_every, config.validation.every)
        )
        if not (log or sample or save or validate or signal):
            continue
        with processes.sync_errors():
            values = run.require_finite(metrics, step)
            if log:
                run.log(trainer, values)
                progress.set_description(trainer.name)
                progress.set_postfix({name: f"{value:.3g}" for name, value in values.items()})
            if validate:
                found = validation(trainer.inference_model()) if validation else {}
                run.log_validation(trainer, found)
            if sample:
                run.save_samples(trainer)
            if save or signal or run.out_of_patience:
                saved = run.save_checkpoint(trainer, prune=save)
            if signal and step < config.iterations:
                raise run.stopped(signal, saved)
        if validate:
            hooks.call("on_validation_end", trainer, found)
            stop = processes.all_reduce_max(run.out_of_patience)
    return True


def iteration(trainer: StageTrainer) -> Terms:
    """Update every network that learns in the stage, in the paper's order: D_I, D_S, (C,) G.

    Each takes `steps` Adam steps. The first step of a network uses the newest generated frames, later steps new ones.

    Returns:
        The loss terms by name, such as `D_I/L_image`, unweighted: detached scalars. R1 and R2 are those of the last
        iteration that computed them.
    """
    stage, nets, loader, k = trainer.stage, trainer.nets, trainer.loader, trainer.k
    part = trainer.processes.part(stage.batch_size)
    batch = loader.load(k, part).to(nets.fabric.device)
    trainer.set_modes()
    fake: Any = None  # steps.Generated, once a network needs it
    samples, metrics = 0, Terms()
    for name, network in stage.learning().items():
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
    return metrics | trainer.penalties
