"""Callbacks: code of one's own at four points of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from storygan.training.distributed import Processes
from storygan.training.trainer import StageTrainer

Hook = Literal["on_train_start", "on_iteration_end", "on_validation_end", "on_train_end"]


class Callback:
    """Subclass this and override hooks. They are called in the main process alone.

    `trainer` is that of the current stage: `trainer.step` counts the finished iterations of the run, `trainer.name` is
    the stage, `trainer.inference_model()` the model with EMA weights, `trainer.config` the configuration. A callback
    that changes weights or random states is not repeated when a run resumes: the run is no longer reproducible.
    """

    def on_train_start(self, trainer: StageTrainer) -> None:
        """Called once, before the first iteration; also of a resumed run."""

    def on_iteration_end(self, trainer: StageTrainer, metrics: Mapping[str, Tensor]) -> None:
        """Called after each iteration, with its loss terms: scalars on the device, by name, such as `D_I/L_image`."""

    def on_validation_end(self, trainer: StageTrainer, metrics: Mapping[str, float]) -> None:
        """Called after each validation, with its metrics by name; the best model is saved already."""

    def on_train_end(self, trainer: StageTrainer) -> None:
        """Called once, after the last iteration and its checkpoint; not of a run that fails or is interrupted."""


class CallbackList:
    """Call the hooks of callbacks in the main process. A StoryganError of one ends all processes."""

    def __init__(self, callbacks: Sequence[Callback], processes: Processes) -> None:
        self.callbacks, self.processes = callbacks, processes

    def call(self, hook: Hook, trainer: StageTrainer, *metrics: object) -> None:
        """Call a hook of each."""
        if self.callbacks:
            with self.processes.sync_errors():
                for callback in self.callbacks if self.processes.is_main else ():
                    getattr(callback, hook)(trainer, *metrics)
