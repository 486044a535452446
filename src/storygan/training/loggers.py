"""Loggers: where the metrics of a run go. A run folder has two, `metrics.jsonl` and TensorBoard; `train` takes more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from storygan.config import TrainConfig, leaves
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_write, parse_json, read_file

METRICS = "metrics.jsonl"
MAX_METRICS_BYTES = 256 * 2**20
"""Half a million lines."""
MAX_METRIC = 3.5e38
"""Largest float32."""


class Logger(Protocol):
    """Any object with these three methods. They are called in the main process alone."""

    def log_config(self, config: TrainConfig, step: int) -> None:
        """Open the log of a run.

        Args:
            config: complete; `config.to_dict()` has nested hyperparameters, `config.run` is the run folder.
            step: iteration that training starts from; a resumed run logs the later ones, maybe again.
        """

    def log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        """Log values of an iteration; there may be several calls with the same.

        Args:
            values: by name. `stage`, losses such as `D_I/L_image`, and `validation/METRIC` are numbers. `samples`
                comes alone and is a picture, uint8 (H, W, 3).
            step: finished iterations of the whole run.
        """

    def close(self) -> None:
        """Close the log, also of a run that fails."""


class JSONLLogger:
    """Append a line of numbers to `metrics.jsonl` in the run folder. Lines after the starting iteration are removed."""

    def log_config(self, config: TrainConfig, step: int) -> None:
        path = Path(config.run) / METRICS
        truncate_metrics(path, step)
        self._file = path.open("a")

    def log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        if numbers := {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}:
            self._file.write(json.dumps({"step": step, **numbers}) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoardLogger:
    """Write TensorBoard events to the run folder: hyperparameters, numbers and pictures."""

    def log_config(self, config: TrainConfig, step: int) -> None:
        self._writer = SummaryWriter(config.run, purge_step=step + 1)
        values = {name: x if isinstance(x, int | float | str) else str(x) for name, x in leaves(config.to_dict())}
        for summary in hparams(values, {f"validation/{config.validation.metric}": 0.0}):
            self._writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # None once closed

    def log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                self._writer.add_image(name, value, step, dataformats="HWC")
            else:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WandbLogger:
    """Log to Weights & Biases. The run has the name of its folder, unless `name` says another.

    Args:
        project: name of the project.
        options: of `wandb.init`, such as `id` and `resume="allow"`, which continue a run.

    Raises:
        UsageError: the library is not installed.
    """

    library: ClassVar[str] = "wandb"

    def __init__(self, project: str = "storygan", **options: Any) -> None:
        try:
            self._module = import_module(self.library)
        except ModuleNotFoundError as error:
            raise UsageError(f"{type(self).__name__} needs {self.library}: pip install {self.library}") from error
        self._options = {"project": project, **options}

    def log_config(self, config: TrainConfig, step: int) -> None:
        options = {"name": Path(config.run).name, **self._options}
        self._run = self._module.init(config=config.to_dict(), **options)

    def log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        images = {name: self._module.Image(x) for name, x in values.items() if isinstance(x, np.ndarray)}
        self._run.log({**values, **images}, step=step)

    def close(self) -> None:
        self._run.finish()


class TrackioLogger(WandbLogger):
    """Log to Trackio, as `WandbLogger` does; options are those of `trackio.init`."""

    library = "trackio"


def truncate_metrics(path: Path, step: int) -> None:
    """Remove the lines of `metrics.jsonl` after an iteration: those iterations run again."""
    lines = read_metrics(path) if path.exists() else ()
    atomic_write(path, "".join(f"{json.dumps(values)}\n" for values in lines if values["step"] <= step))


def read_metrics(path: Path) -> Iterator[dict[str, float]]:
    """Yield the lines of `metrics.jsonl`. A last line without line break is skipped: the process was killed.

    Raises:
        StoryganError: the file cannot be read, or a line does not hold metrics.
    """
    try:
        lines = read_file(path, MAX_METRICS_BYTES).split(b"\n")[:-1]
    except (OSError, ValueError) as error:
        raise StoryganError(f"{path} cannot be read: {reason(error)}") from error
    for n, line in enumerate(lines, 1):
        try:
            values = parse_json(line)
            if not isinstance(values, dict) or type(values.get("step")) is not int or values["step"] < 1:
                raise ValueError("there is no step")
            for name, value in values.items():
                if not name.isprintable() or type(value) not in (int, float) or not abs(value) <= MAX_METRIC:
                    raise ValueError(f"{name!r} is not a metric")
        except ValueError as error:
            raise StoryganError(f"{path}, line {n}, holds no metrics ({reason(error)}): remove the line") from error
        yield values
