"""The run folder: configuration, metrics, TensorBoard events, sample strips, checkpoints (DESIGN, section 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from torch.utils.tensorboard import SummaryWriter

from storygan import viz
from storygan.config import TrainConfig
from storygan.training.checkpoint import newest_checkpoint, save_checkpoint
from storygan.types import UsageError

CONFIG = "config.yaml"


class RunFolder:
    """A run folder for a new run or for one that goes on; nothing is written before it is entered (`with run:`).

    Raises:
        UsageError: a new run in a folder that holds one, or the other way round.
    """

    def __init__(self, config: TrainConfig, resume: bool) -> None:
        self.config = config
        self.path = Path(config.run)
        self.checkpoints = self.path / "checkpoints"
        started = (self.path / CONFIG).exists()
        if started and not resume:
            raise UsageError(f"{self.path} holds a run already: go on with --resume {self.path}, or choose another run")
        if resume and not started:
            raise UsageError(f"{self.path} holds no run to resume: start one with --config")
        self.checkpoint = newest_checkpoint(self.checkpoints)

    def __enter__(self) -> Self:
        """Write the configuration and open the logs, cut to where the run stands."""
        step = self.checkpoint["step"] if self.checkpoint else 0
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / CONFIG, yaml.safe_dump(self.config.to_dict(), sort_keys=False))
        self._cut_metrics(step)
        self._metrics = (self.path / "metrics.jsonl").open("a")
        self._tensorboard = SummaryWriter(str(self.path), purge_step=step + 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.close()
        self._tensorboard.close()

    def _cut_metrics(self, step: int) -> None:
        """Drop what was logged after the checkpoint (and a torn last line): those iterations are run again."""
        path = self.path / "metrics.jsonl"
        kept = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                break
        write_whole(path, "".join(kept))

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """One line of `metrics.jsonl`, one point a curve in TensorBoard."""
        self._metrics.write(json.dumps({"step": step, **metrics}) + "\n")
        self._metrics.flush()
        for name, value in metrics.items():
            self._tensorboard.add_scalar(name, value, step)

    def save_samples(self, step: int, frames: np.ndarray) -> None:
        """The strips of the fixed stories and noise: uint8 (N, T, H, W, 3) -> `samples/step-%08d.png`."""
        folder = self.path / "samples"
        folder.mkdir(exist_ok=True)
        strips = viz.strips(frames)
        viz.save_image(strips, folder / f"step-{step:08d}.png")
        self._tensorboard.add_image("samples", strips, step, dataformats="HWC")

    def save_checkpoint(self, step: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint, keep the newest."""
        return save_checkpoint(self.checkpoints, step, state, self.config.keep_checkpoints)


def write_whole(path: Path, text: str) -> None:
    """Replace a text file: the old one or the new one is there at any moment."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.rename(path)
