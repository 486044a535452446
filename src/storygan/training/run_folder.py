"""The run folder: configuration, metrics, TensorBoard events, sample strips, checkpoints (docs/training.md)."""

from __future__ import annotations

import contextlib
import platform
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import yaml
from torch.utils.tensorboard import SummaryWriter

from storygan import viz
from storygan.config import TrainConfig
from storygan.cores import cores
from storygan.files import cannot_write, write_whole
from storygan.models.card import make_card
from storygan.models.storygan import StoryGAN
from storygan.training.checkpoint import newest_checkpoint, save_checkpoint
from storygan.training.metrics_file import METRICS, metrics_line, read_metrics
from storygan.training.run_lock import RunLock
from storygan.types import UsageError

CONFIG = "config.yaml"
MODEL = "model"
"""The model folder, within the run folder."""
DATA = "data"
"""The fingerprint of the data set, in a checkpoint."""
SECONDS = "seconds"
"""Of training so far, in a checkpoint."""


class RunFolder:
    """A run folder for a new run or for one that goes on. `with RunFolder(...) as run` locks it and writes nothing.

    Raises:
        UsageError: a new run in a folder that holds one, or the other way round; a run of other data, or of more
            iterations.
        StoryganError: another process has the run.
    """

    def __init__(self, config: TrainConfig, resume: bool, fingerprint: str, stories: int) -> None:
        self.config, self.resume, self.fingerprint, self.stories = config, resume, fingerprint, stories
        self.path = Path(config.run)
        self.checkpoints = self.path / "checkpoints"
        self.checkpoint: dict[str, Any] | None = None
        self._lock = RunLock(self.path)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        started = (self.path / CONFIG).exists()
        if started and not self.resume:
            raise UsageError(f"{self.path} holds a run already: go on with --resume {self.path}, or choose another run")
        if self.resume and not started:
            raise UsageError(f"{self.path} holds no run to resume: start one with --config")
        self._lock.acquire()
        try:
            self.checkpoint = newest_checkpoint(self.checkpoints)
            self._require_same_data()
            self._require_more()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(OSError):  # a full disk has been told of where it was met
                self._open.close()
        finally:
            self._lock.release()

    def _require_same_data(self) -> None:
        """Raise UsageError where the newest checkpoint is of other stories; those of older versions do not say."""
        was = (self.checkpoint or {}).get(DATA, self.fingerprint)
        if was != self.fingerprint:
            raise UsageError(
                f"the stories of {self.config.data.path} are not those that {self.path} was trained on (fingerprint "
                f"{was}, now {self.fingerprint}): bring those back, or start a new run"
            )

    def _require_more(self) -> None:
        """Raise UsageError where the run is beyond what is asked for."""
        done = (self.checkpoint or {}).get("step", 0)
        if self.config.iterations < done:
            raise UsageError(
                f"{self.path} has done {done} iterations, more than --iterations {self.config.iterations}: ask for more"
            )

    def begin(self) -> None:
        """Write the configuration and open the logs, cut to where the run stands."""
        step = self.checkpoint["step"] if self.checkpoint else 0
        self._began = time.monotonic() - (self.checkpoint or {}).get(SECONDS, 0.0)
        write_whole(self.path / CONFIG, yaml.safe_dump(self.config.to_dict(), sort_keys=False))
        self._cut_metrics(step)
        for left in self.checkpoints.glob("*.tmp"):
            left.unlink()  # of a process that was killed while it saved
        self._metrics = self._open.enter_context((self.path / METRICS).open("a"))
        self._tensorboard = self._open.enter_context(SummaryWriter(str(self.path), purge_step=step + 1))

    def _cut_metrics(self, step: int) -> None:
        """Drop what was logged after the checkpoint: those iterations are run again."""
        path = self.path / METRICS
        logged = read_metrics(path) if path.exists() else ()
        write_whole(path, "".join(metrics_line(values) for values in logged if values["step"] <= step))

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """One line of `metrics.jsonl`, one point a curve in TensorBoard. StoryganError where the disk is full."""
        try:
            self._metrics.write(metrics_line({"step": step, **metrics}))
            self._metrics.flush()
            for name, value in metrics.items():
                self._tensorboard.add_scalar(name, value, step)
        except OSError as error:
            raise cannot_write(self.path / METRICS, error) from error

    def save_samples(self, step: int, frames: np.ndarray) -> None:
        """The strips of the fixed stories and noise: uint8 (N, T, H, W, 3) -> `samples/step-%08d.png`."""
        folder = self.path / "samples"
        folder.mkdir(exist_ok=True)
        strips = viz.strips(frames)
        write_whole(folder / f"step-{step:08d}.png", viz.encode([strips], ".png"))
        self._tensorboard.add_image("samples", strips, step, dataformats="HWC")

    def save_checkpoint(self, step: int, state: dict[str, Any], prune: bool) -> Path:
        """Write a checkpoint; `prune`: keep the newest alone."""
        keep = self.config.keep_checkpoints if prune else None
        known = {DATA: self.fingerprint, SECONDS: time.monotonic() - self._began}
        return save_checkpoint(self.checkpoints, step, {**state, **known}, keep)

    def save_model(self, step: int, model: StoryGAN) -> None:
        """Write the model folder, ready for `StoryGAN.from_pretrained`."""
        spent = f"{(time.monotonic() - self._began) / 60:,.1f} minutes on {_machine()}"
        model.card = make_card(self.config.model, self.config.sentence_encoder, self.config, step, self.stories, spent)
        model.save_pretrained(self.path / MODEL)


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

    def log(self, step: int, metrics: dict[str, float]) -> None:
        pass

    def save_samples(self, step: int, frames: np.ndarray) -> None:
        pass

    def save_checkpoint(self, step: int, state: dict[str, Any], prune: bool) -> Path:
        return self.checkpoints

    def save_model(self, step: int, model: StoryGAN) -> None:
        pass
