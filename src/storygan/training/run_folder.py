"""The run folder: configuration, metrics, TensorBoard events, samples, checkpoints, finished stages
(docs/training.md)."""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any, Self

import numpy as np
import torch
import yaml

from storygan import viz
from storygan.config import TrainConfig
from storygan.cores import cores
from storygan.data.dataset import StoryDataset
from storygan.errors import Interrupted, StoryganError, UsageError
from storygan.evaluation.tables import LOWER_IS_BETTER
from storygan.files import atomic_write, cannot_write, locked, remove_temporaries
from storygan.models.model_card import make_card
from storygan.training.checkpoint import newest_checkpoint, save_checkpoint
from storygan.training.loggers import METRICS, JSONLLogger, Logger, TensorBoardLogger
from storygan.training.stage_folder import (
    InitialWeights,
    aux_classifier,
    copy_stage,
    initial_weights,
    load_stage,
    save_stage,
    stage_folder,
)
from storygan.training.trainer import StageTrainer

CONFIG = "config.yaml"
MODEL, BEST = "model", "best"
"""Model folders within the run folder: the newest, and the best by the validation metric."""


log = logging.getLogger(__name__)


class RunFolder:
    """The folder of a run. `with RunFolder(...) as run` locks it and reads its checkpoint; `begin` writes first.

    Raises:
        UsageError: a new run in a folder that holds one, or the other way round; a run of other data or stages.
        StoryganError: another process uses the folder, or no checkpoint can be read.
    """

    def __init__(
        self,
        config: TrainConfig,
        resume: bool,
        dataset: StoryDataset,
        from_stage: tuple[str, str | Path] | None = None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        self.config, self.resume, self.fingerprint, self.stories = config, resume, dataset.fingerprint, len(dataset)
        self.path = Path(config.run)
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint: dict[str, Any] | None = None
        self.first_stage = 0
        self._from_stage = from_stage
        self._best: float | None = None
        self._since_best = 0  # validations
        self._lock = locked(self.path)
        self._loggers: list[Logger] = [JSONLLogger(), TensorBoardLogger(), *loggers]
        self._logs = contextlib.ExitStack()

    def __enter__(self) -> Self:
        started = (self.path / CONFIG).exists()
        if started and not self.resume:
            raise UsageError(f"{self.path} holds a run already: go on with --resume {self.path}, or choose another run")
        if self.resume and not started:
            raise UsageError(f"{self.path} holds no run to resume: start one with a configuration")
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._lock)
            self.checkpoint = newest_checkpoint(self.checkpoints)
            self.first_stage = self._find_first_stage()
            self._lock_held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock_held, contextlib.suppress(OSError):  # a full disk was reported when it was met
            self._logs.close()

    def _find_first_stage(self) -> int:
        """Return the stage to resume: the checkpoint's, or the one after the last finished stage.

        Raises:
            UsageError: the checkpoint is of other data or other stages, or `from_stage` names no later stage.
        """
        names = list(self.config.stages)
        if self._from_stage is not None:
            name, _ = self._from_stage
            if name not in names[1:]:
                raise UsageError(f"--from-stage {name}: name a stage after the first: {', '.join(names[1:]) or 'none'}")
            return names.index(name)
        if self.checkpoint is None:
            done = [n for n in range(len(names) - 1) if stage_folder(self.path, self.config, n).exists()]
            return max(done, default=-1) + 1
        data, stage, k = (self.checkpoint[key] for key in ("data", "stage", "k"))
        if data != self.fingerprint:
            raise UsageError(
                f"the stories of {self.config.data.path} are not those that {self.path} was trained on (fingerprint "
                f"{data}, now {self.fingerprint}): restore those, or start a new run"
            )
        if stage not in names or self.checkpoint["step"] != self._offset(number := names.index(stage)) + k:
            raise UsageError(f"{self.path} is at iteration {k} of the stage {stage!r}: the stages before have changed")
        if self.config.stages[stage].iterations < k:
            raise UsageError(f"{self.path} has done {k} iterations of the stage {stage!r}: give it as many or more")
        self._best, self._since_best = self.checkpoint["best"], self.checkpoint.get("since_best", 0)
        return number

    def _offset(self, number: int) -> int:
        """Return the iterations of all stages before a stage."""
        return sum(stage.iterations for stage in list(self.config.stages.values())[:number])

    @property
    def step(self) -> int:
        """Iterations of the whole run at which training starts."""
        return self.checkpoint["step"] if self.checkpoint else self._offset(self.first_stage)

    def begin(self) -> None:
        """Write the configuration, and open the logs, truncated to the starting iteration."""
        self._start_time = time.monotonic() - (self.checkpoint or {}).get("seconds", 0.0)
        if self._from_stage is not None:
            copy_stage(Path(self._from_stage[1]), stage_folder(self.path, self.config, self.first_stage - 1))
        atomic_write(self.path / CONFIG, yaml.safe_dump(self.config.to_dict(), sort_keys=False))
        for folder in (self.path, self.checkpoints, self.path / "samples", self.path / MODEL, self.path / BEST):
            remove_temporaries(folder)
        try:
            for logger in self._loggers:
                logger.log_config(self.config, self.step)
                self._logs.callback(logger.close)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def previous_folder(self, number: int) -> Path | None:
        """Return the folder of the stage before; None for the first stage."""
        if self._from_stage and number == self.first_stage:
            return Path(self._from_stage[1])
        return stage_folder(self.path, self.config, number - 1) if number else None

    def encoder_folders(self) -> list[Path]:
        """Return the folders that may hold the run's sentence encoder."""
        return [folder for folder in (self.path / MODEL, self.previous_folder(self.first_stage)) if folder]

    def initial_weights(self, number: int) -> InitialWeights:
        """Load the networks that a stage starts from: those of the previous stage, or of the configuration.

        An auxiliary classifier that no stage trained is that of the configuration.
        """
        folder = self.previous_folder(number)
        start = load_stage(folder) if folder else initial_weights(self.config)
        start.classifier = start.classifier or aux_classifier(self.config)
        if self.checkpoint and number == self.first_stage:
            start.states.clear()  # they are in the checkpoint
        return start

    def save_stage(self, number: int, trainer: StageTrainer) -> None:
        """Write the folder of a finished stage."""
        others = {name: network for name, network in trainer.nets.each().items() if name != "G"}
        folder = stage_folder(self.path, self.config, number)
        save_stage(folder, self._with_card(trainer), others, self.previous_folder(number))

    def require_finite(self, metrics: Mapping[str, torch.Tensor], step: int) -> dict[str, float]:
        """Return the metrics as numbers. Raises StoryganError where one is not finite."""
        values = {name: value.item() for name, value in metrics.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise StoryganError(
                    f"{name} is {value} at iteration {step}: training stops; the last good checkpoint is in "
                    f"{self.checkpoints} (resume from it with a lower learning rate)"
                )
        return values

    def log(self, trainer: StageTrainer, metrics: Mapping[str, float]) -> None:
        """Log metrics and the number of the stage. Raises StoryganError where the disk is full."""
        self._log({"stage": trainer.number + 1, **metrics}, trainer.step)

    def _log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        try:
            for logger in self._loggers:
                logger.log(values, step)
        except OSError as error:
            raise cannot_write(self.path / METRICS, error) from error

    def log_validation(self, trainer: StageTrainer, metrics: dict[str, float]) -> None:
        """Log validation metrics; save the model to `best` if it is the best so far."""
        self.log(trainer, {f"validation/{name}": value for name, value in metrics.items()})
        name = self.config.validation.metric
        value, lower = metrics[name], name.startswith(LOWER_IS_BETTER)
        self._since_best += 1
        if self._best is None or (value < self._best if lower else value > self._best):
            self._best, self._since_best = value, 0
            self._with_card(trainer).save_pretrained(self.path / BEST)
        if self.out_of_patience:
            since = f"{name} is no better after {self._since_best} validations"
            log.info(f"{since}: training stops; the best model is in {self.path / BEST}")

    @property
    def out_of_patience(self) -> bool:
        """Whether `validation.patience` ends the run."""
        return 0 < self.config.validation.patience <= self._since_best

    def save_samples(self, trainer: StageTrainer) -> None:
        """Write generated beside real frames to `samples/step-%08d.png`, and log the picture.

        Raises:
            StoryganError: the disk is full.
        """
        folder = self.path / "samples"
        strips = viz.sheet(viz.story_rows(trainer.sample()), scale=2, aspect_ratio=trainer.model.aspect_ratio)
        try:
            folder.mkdir(exist_ok=True)
            atomic_write(folder / f"step-{trainer.step:08d}.png", viz.encode(strips, ".png"))
        except OSError as error:
            raise cannot_write(folder, error) from error
        self._log({"samples": strips}, trainer.step)

    def save_checkpoint(self, trainer: StageTrainer, prune: bool) -> Path:
        """Write a checkpoint and the model; with `prune`, remove all but the newest checkpoints."""
        step, keep = trainer.step, self.config.keep_checkpoints if prune else None
        seconds = time.monotonic() - self._start_time
        best = {"best": self._best, "since_best": self._since_best}
        progress = {"step": step, "data": self.fingerprint, "seconds": seconds, **best}
        state = {**trainer.state_dict(), **progress, "config": self.config.to_dict()}
        saved = save_checkpoint(self.checkpoints, step, state, keep)
        self.save_model(trainer)
        return saved

    def save_model(self, trainer: StageTrainer) -> None:
        """Write the model folder, for `StoryGAN.from_pretrained`."""
        if trainer.k:  # otherwise the previous stage wrote it
            self._with_card(trainer).save_pretrained(self.path / MODEL)

    def stopped(self, signal: int, saved: Path) -> Interrupted:
        """Return the error that ends a run on a signal."""
        message = f"stopped by {Signals(signal).name}, saved {saved}: go on with --resume {self.path}"
        return Interrupted(message, 128 + signal)

    def _with_card(self, trainer: StageTrainer) -> Any:
        """Return the model, with its model card."""
        model = trainer.inference_model()
        gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
        machine = f"{cores()} cores ({platform.machine()}{gpu})"
        spent = f"{(time.monotonic() - self._start_time) / 60:,.1f} minutes on {machine}"
        model.card = make_card(
            self.config.model, self.config.sentence_encoder, self.config, trainer.step, self.stories, spent
        )
        return model


class NullRunFolder(RunFolder):
    """The run folder in processes other than the main one: it writes nothing and takes no lock."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def initial_weights(self, number: int) -> InitialWeights:
        return InitialWeights()

    def save_checkpoint(self, trainer: StageTrainer, prune: bool) -> Path:
        return self.checkpoints

    def _write_nothing(self, *_: Any) -> None:
        """Stand for the methods that write."""

    begin = save_stage = log = log_validation = save_samples = save_model = _write_nothing  # type: ignore[assignment]
