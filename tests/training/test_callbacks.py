"""Callbacks: when the hooks are called, and with what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.run_folders import differences
from tests.training.tiny import stages, tiny_config

from storygan.config import TrainConfig, ValidationConfig
from storygan.errors import StoryganError
from storygan.training.callbacks import Callback
from storygan.training.loop import train
from storygan.training.trainer import StageTrainer


class Recorder(Callback):
    """Keep the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_train_start(self, trainer: StageTrainer) -> None:
        self.calls.append(("start", trainer.step))

    def on_iteration_end(self, trainer: StageTrainer, metrics: Mapping[str, torch.Tensor]) -> None:
        assert all(value.isfinite() for value in metrics.values())
        self.calls.append(("iteration", trainer.step, trainer.name))

    def on_validation_end(self, trainer: StageTrainer, metrics: Mapping[str, float]) -> None:
        self.calls.append(("validation", trainer.step, metrics["object_accuracy"]))

    def on_train_end(self, trainer: StageTrainer) -> None:
        assert (Path(trainer.config.run) / "model/config.json").exists()
        self.calls.append(("end", trainer.step))


def two_stages(data: Path, run: Path) -> TrainConfig:
    return tiny_config(data, run, stages={name: stages()[name] for name in ("aux-classifier", "reconstruction")})


def test_the_hooks_of_a_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storygan.training.validation.Validation.__init__", lambda *_: None)
    monkeypatch.setattr("storygan.training.validation.Validation.__call__", lambda *_: {"object_accuracy": 0.5})
    config, recorder = two_stages(data, tmp_path / "run"), Recorder()
    config.validation = ValidationConfig(every=3)
    train(config, until=1, callbacks=[recorder])
    assert recorder.calls == [("start", 0), ("iteration", 1, "aux-classifier"), ("validation", 1, 0.5), ("end", 1)]
    recorder.calls.clear()
    train(config, resume=True, callbacks=[Callback(), recorder])
    assert recorder.calls == [
        ("start", 1),
        ("iteration", 2, "aux-classifier"),
        ("validation", 2, 0.5),  # the last iteration of a stage
        ("iteration", 3, "reconstruction"),
        ("validation", 3, 0.5),
        ("iteration", 4, "reconstruction"),
        ("validation", 4, 0.5),
        ("end", 4),
    ]


def test_a_callback_changes_no_number(data: Path, tmp_path: Path) -> None:
    train(two_stages(data, tmp_path / "plain"))
    train(two_stages(data, tmp_path / "with"), callbacks=[Recorder()])
    assert differences(tmp_path / "with", tmp_path / "plain", 4) == []


def test_an_error_of_a_callback_ends_the_run(data: Path, tmp_path: Path) -> None:
    class Broken(Recorder):
        def on_iteration_end(self, trainer: StageTrainer, metrics: Mapping[str, torch.Tensor]) -> None:
            raise StoryganError("enough")

    broken = Broken()
    with pytest.raises(StoryganError, match="enough"):
        train(two_stages(data, tmp_path / "run"), callbacks=[broken])
    assert broken.calls == [("start", 0)], "no end"
