"""The run folder: configuration, metrics, TensorBoard events, sample strips, checkpoints, finished stages
(docs/training.md)."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import yaml
from filelock import FileLock, Timeout
from torch.utils.tensorboard import SummaryWriter

from storygan import viz
from storygan.config import TrainConfig
from storygan.cores import cores
from storygan.data.dataset import StoryDataset
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_write, cannot_write, parse_json, read_file
from storygan.models.model_card import make_card
from storygan.training.checkpoint import newest_checkpoint, save_checkpoint
from storygan.training.stage_folder import StageStart, copy_stage, first_start, load_stage, save_stage, stage_folder
from storygan.training.trainer import StageTrainer
from storygan.training.validation import LOWER_IS_BETTER

NAME = ".lock"


class RunLock:
    """The lock of a run folder, which it makes. The operating system holds it: it ends with the process, however."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._lock = FileLock(run / NAME)

    def acquire(self) -> Self:
        """Take the lock.

        Raises:
            StoryganError: another process has it, or the folder cannot be written to.
        """
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            (self.run / NAME).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        except Timeout:
            raise StoryganError(f"{self.run} is in use by {self._holder()}: one run, one process") from None
        except OSError as error:
            self._lock.release()
            raise cannot_write(self.run, error) from error
        return self

    def release(self) -> None:
        """Give the lock back; of a run that wrote nothing, no folder stays."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.run.iterdir()] == [NAME]:
                (self.run / NAME).unlink()
                self.run.rmdir()
        self._lock.release()

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return (self.run / NAME).read_text().strip() or "another process"
        return "another process"


METRICS = "metrics.jsonl"
MAX_BYTES = 256 * 2**20
"""Half a million lines."""
MAX_VALUE = 3.5e38
"""Of a float32, which losses are."""


def metrics_line(values: dict[str, float]) -> str:
    """The line of one iteration."""
    return json.dumps(values) + "\n"


def read_metrics(path: Path) -> Iterator[dict[str, float]]:
    """The lines one by one. What follows the last line break is left out: a process was killed while it wrote that.

    Raises:
        StoryganError: the file cannot be read, or a line is not as `metrics_line` makes them.
    """
    try:
        lines = read_file(path, MAX_BYTES).split(b"\n")[:-1]
    except (OSError, ValueError) as error:
        raise StoryganError(f"{path} cannot be read: {reason(error)}") from error
    for n, line in enumerate(lines, 1):
        try:
            yield _metrics(line)
        except ValueError as error:
            raise StoryganError(f"{path}, line {n}, holds no metrics ({reason(error)}): remove the line") from error


def _metrics(line: bytes) -> dict[str, float]:
    """What a line holds; ValueError where it is not as it should be."""
    values = parse_json(line)
    if not isinstance(values, dict) or type(values.get("step")) is not int or values["step"] < 1:
        raise ValueError("there is no step")
    for name, value in values.items():
        if not name.isprintable() or type(value) not in (int, float) or not -MAX_VALUE <= value <= MAX_VALUE:
            raise ValueError(f"{name!r} is no metric")
    return values


CONFIG = "config.yaml"
MODEL, BEST = "model", "best"
"""Model folders within the run folder: the newest, and the best by the validation metric."""


class RunFolder:
    """A run folder for a new run or for one that goes on. `with RunFolder(...) as run` locks it and writes nothing.

    Raises:
        UsageError: a new run in a folder that holds one, or the other way round; a run of other data or stages.
        StoryganError: another process has the run.
    """

    def __init__(
        self,
        config: TrainConfig,
        resume: bool,
        dataset: StoryDataset,
        from_stage: tuple[str, str | Path] | None = None,
    ) -> None:
        self.config, self.resume, self.fingerprint, self.stories = config, resume, dataset.fingerprint, len(dataset)
        self.path = Path(config.run)
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint: dict[str, Any] | None = None
        self.first_stage = 0
        self._from_stage = from_stage
        self._best: float | None = None
        self._lock = RunLock(self.path)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        started = (self.path / CONFIG).exists()
        if started and not self.resume:
            raise UsageError(f"{self.path} holds a run already: go on with --resume {self.path}, or choose another run")
        if self.resume and not started:
            raise UsageError(f"{self.path} holds no run to resume: start one with a configuration")
        self._lock.acquire()
        try:
            self.checkpoint = newest_checkpoint(self.checkpoints)
            self.first_stage = self._find_first_stage()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(OSError):  # a full disk has been reported where it was met
                self._open.close()
        finally:
            self._lock.release()

    def _find_first_stage(self) -> int:
        """Return the stage to go on with: the checkpoint's, or the one after the last that is finished.

        Raises:
            UsageError: the checkpoint is of other data or other stages, or `from_stage` names none.
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
        was, stage, k = (self.checkpoint[key] for key in ("data", "stage", "k"))
        if was != self.fingerprint:
            raise UsageError(
                f"the stories of {self.config.data.path} are not those that {self.path} was trained on (fingerprint "
                f"{was}, now {self.fingerprint}): bring those back, or start a new run"
            )
        if stage not in names or self.checkpoint["step"] != self._offset(number := names.index(stage)) + k:
            raise UsageError(f"{self.path} is at iteration {k} of the stage {stage!r}: the stages before have changed")
        if self.config.stages[stage].iterations < k:
            raise UsageError(f"{self.path} has done {k} iterations of the stage {stage!r}: give it as many or more")
        self._best = self.checkpoint["best"]
        return number

    def _offset(self, number: int) -> int:
        """Return the iterations of the stages before."""
        return sum(stage.iterations for stage in list(self.config.stages.values())[:number])

    @property
    def step(self) -> int:
        """Iterations of the whole run that are done at the start."""
        return self.checkpoint["step"] if self.checkpoint else self._offset(self.first_stage)

    def step_of(self, trainer: StageTrainer) -> int:
        """Return the iterations of the whole run that are done."""
        return self._offset(trainer.number) + trainer.k

    def begin(self) -> None:
        """Write the configuration and open the logs, cut to where the run stands."""
        self._began = time.monotonic() - (self.checkpoint or {}).get("seconds", 0.0)
        if self._from_stage is not None:
            copy_stage(Path(self._from_stage[1]), stage_folder(self.path, self.config, self.first_stage - 1))
        atomic_write(self.path / CONFIG, yaml.safe_dump(self.config.to_dict(), sort_keys=False))
        self._cut_metrics(self.step)
        for left in self.checkpoints.glob("*.tmp"):
            left.unlink()  # of a process that was killed while it saved
        self._metrics = self._open.enter_context((self.path / METRICS).open("a"))
        self._tensorboard = self._open.enter_context(SummaryWriter(str(self.path), purge_step=self.step + 1))

    def _cut_metrics(self, step: int) -> None:
        """Drop what was logged after the checkpoint: those iterations are run again."""
        path = self.path / METRICS
        logged = read_metrics(path) if path.exists() else ()
        atomic_write(path, "".join(metrics_line(values) for values in logged if values["step"] <= step))

    def folder_before(self, number: int) -> Path | None:
        """Return the folder that the stage before left; None for the first."""
        if self._from_stage and number == self.first_stage:
            return Path(self._from_stage[1])
        return stage_folder(self.path, self.config, number - 1) if number else None

    def encoder_folders(self) -> list[Path]:
        """Return the folders that may hold the sentence encoder of the run."""
        return [folder for folder in (self.path / MODEL, self.folder_before(self.first_stage)) if folder]

    def start_of(self, number: int) -> StageStart:
        """Return what a stage starts from: what the one before left, or what the configuration names."""
        folder = self.folder_before(number)
        start = load_stage(folder) if folder else first_start(self.config)
        if self.checkpoint and number == self.first_stage:
            start.states.clear()  # the checkpoint has them
        return start

    def save_stage(self, number: int, trainer: StageTrainer) -> None:
        """Keep what a finished stage leaves."""
        others = {name: network for name, network in trainer.nets.each().items() if name != "G"}
        folder = stage_folder(self.path, self.config, number)
        save_stage(folder, self._with_card(trainer), others, self.folder_before(number))

    def finite(self, metrics: Mapping[str, torch.Tensor], step: int) -> dict[str, float]:
        """Return the metrics as numbers. Raises StoryganError where one is not finite."""
        values = {name: value.item() for name, value in metrics.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise StoryganError(
                    f"{name} is {value} at iteration {step}: training stops; the last good checkpoint is in "
                    f"{self.checkpoints} (resume from it with a lower learning rate)"
                )
        return values

    def log(self, trainer: StageTrainer, metrics: dict[str, float]) -> None:
        """One line of `metrics.jsonl`, one point a curve in TensorBoard. StoryganError where the disk is full."""
        step = self.step_of(trainer)
        try:
            self._metrics.write(metrics_line({"step": step, "stage": trainer.number + 1, **metrics}))
            self._metrics.flush()
            for name, value in metrics.items():
                self._tensorboard.add_scalar(name, value, step)
        except OSError as error:
            raise cannot_write(self.path / METRICS, error) from error

    def log_validation(self, trainer: StageTrainer, metrics: dict[str, float]) -> None:
        """Log validation metrics, and keep the model where it is the best so far."""
        self.log(trainer, {f"validation/{name}": value for name, value in metrics.items()})
        name = self.config.validation.metric
        value, lower = metrics[name], name.startswith(LOWER_IS_BETTER)
        if self._best is None or (value < self._best if lower else value > self._best):
            self._best = value
            self._with_card(trainer).save_pretrained(self.path / BEST)

    def save_samples(self, step: int, frames: np.ndarray, aspect_ratio: float) -> None:
        """The strips of the fixed stories and noise: uint8 (N, T, H, W, 3) -> `samples/step-%08d.png`."""
        folder = self.path / "samples"
        folder.mkdir(exist_ok=True)
        strips = viz.sheet(viz.story_rows(frames), scale=2, aspect_ratio=aspect_ratio)
        atomic_write(folder / f"step-{step:08d}.png", viz.encode(strips, ".png"))
        self._tensorboard.add_image("samples", strips, step, dataformats="HWC")

    def save_checkpoint(self, trainer: StageTrainer, prune: bool) -> Path:
        """Write a checkpoint and the model; `prune`: keep the newest checkpoints alone."""
        step, keep = self.step_of(trainer), self.config.keep_checkpoints if prune else None
        known = {"step": step, "data": self.fingerprint, "seconds": time.monotonic() - self._began, "best": self._best}
        state = {**trainer.state_dict(), **known, "config": self.config.to_dict()}
        saved = save_checkpoint(self.checkpoints, step, state, keep)
        self.refresh_model(trainer)
        return saved

    def refresh_model(self, trainer: StageTrainer) -> None:
        """Write the model folder, ready for `StoryGAN.from_pretrained`."""
        if trainer.k:  # else the stage before wrote it
            self._with_card(trainer).save_pretrained(self.path / MODEL)

    def _with_card(self, trainer: StageTrainer) -> Any:
        model = trainer.inference_model()
        spent = f"{(time.monotonic() - self._began) / 60:,.1f} minutes on {_machine()}"
        model.card = make_card(
            self.config.model, self.config.sentence_encoder, self.config, self.step_of(trainer), self.stories, spent
        )
        return model


def _machine() -> str:
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores()} cores ({platform.machine()}{gpu})"


class UnwrittenRunFolder(RunFolder):
    """What the processes other than the first have in its place: they write nothing, and lock nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self) -> None:
        pass

    def start_of(self, number: int) -> StageStart:
        return StageStart()

    def save_stage(self, number: int, trainer: StageTrainer) -> None:
        pass

    def log(self, trainer: StageTrainer, metrics: dict[str, float]) -> None:
        pass

    def log_validation(self, trainer: StageTrainer, metrics: dict[str, float]) -> None:
        pass

    def save_samples(self, step: int, frames: np.ndarray, aspect_ratio: float) -> None:
        pass

    def save_checkpoint(self, trainer: StageTrainer, prune: bool) -> Path:
        return self.checkpoints

    def refresh_model(self, trainer: StageTrainer) -> None:
        pass
