"""Loggers: what each writes, when they are called, and reading `metrics.jsonl`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.training.tiny import stages, tiny_config

from storygan.config import TrainConfig
from storygan.errors import StoryganError, UsageError
from storygan.training.loggers import (
    JSONLLogger,
    TensorBoardLogger,
    TrackioLogger,
    WandbLogger,
    read_metrics,
)
from storygan.training.loop import train

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Recorder:
    """A logger that keeps its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def log_config(self, config: TrainConfig, step: int) -> None:
        self.calls.append(("config", config.to_dict(), step))

    def log(self, values: Mapping[str, float | np.ndarray], step: int) -> None:
        self.calls.append(("log", dict(values), step))

    def close(self) -> None:
        self.calls.append(("close",))


def only_classifier(data: Path, run: Path, **options: Any) -> TrainConfig:
    """Two iterations of the auxiliary classifier: cheap."""
    return tiny_config(data, run, stages={"aux-classifier": stages()["aux-classifier"]}, **options)


def test_a_run_logs_its_configuration_and_what_the_run_folder_has(data: Path, tmp_path: Path) -> None:
    recorder, config = Recorder(), only_classifier(data, tmp_path / "run")
    train(config, until=1, loggers=[recorder])
    first, *_, last = recorder.calls
    assert first[0] == "config"
    assert first[1]["model"]["T"] == 2, "the data set's: the configuration is complete"
    assert first[2] == 0
    assert last == ("close",)
    recorder.calls.clear()
    train(config, resume=True, loggers=[recorder])
    assert recorder.calls[0][2] == 1
    logged = [(values, step) for kind, values, step in recorder.calls[:-1] if kind == "log"]
    (line,) = [line for line in read_metrics(tmp_path / "run/metrics.jsonl") if line["step"] == 2]
    assert {"step": 2, **logged[0][0]} == line
    samples, step = logged[-1]
    assert (step, samples["samples"].dtype, samples["samples"].ndim) == (2, np.uint8, 3)


def test_a_run_that_fails_closes_its_logs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(trainer: object) -> None:
        raise StoryganError("broken")

    recorder = Recorder()
    monkeypatch.setattr("storygan.training.loop.iteration", broken)
    with pytest.raises(StoryganError, match="broken"):
        train(only_classifier(data, tmp_path / "run"), loggers=[recorder])
    assert recorder.calls[-1] == ("close",)


def test_jsonl_has_the_numbers(tmp_path: Path) -> None:
    config, path = TrainConfig(run=str(tmp_path)), tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": 1}\n{"step": 2, "a": 2}\n')
    logger = JSONLLogger()
    logger.log_config(config, 1)
    logger.log({"stage": 1, "a": 3.0}, 2)
    logger.log({"samples": PICTURE}, 2)
    logger.close()
    assert path.read_text() == '{"step": 1, "a": 1}\n{"step": 2, "stage": 1, "a": 3.0}\n'


def test_tensorboard_has_numbers_pictures_and_hyperparameters(tmp_path: Path) -> None:
    logger = TensorBoardLogger()
    logger.log_config(TrainConfig(run=str(tmp_path), seed=5), 0)
    logger.log({"a": 0.5, "samples": PICTURE}, 3)
    logger.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("a")] == [(3, 0.5)]
    assert [(event.width, event.height) for event in events.Images("samples")] == [(6, 4)]
    assert b"seed" in events.summary_metadata["_hparams_/session_start_info"].plugin_data.content


@pytest.mark.parametrize(("kind", "library"), [(WandbLogger, "wandb"), (TrackioLogger, "trackio")])
def test_weights_and_biases_and_trackio(
    kind: type[WandbLogger], library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a module that stands in for the library: both have the same interface."""
    calls: list[tuple[Any, ...]] = []

    def init(**options: Any) -> SimpleNamespace:
        calls.append(("init", options))
        return SimpleNamespace(
            log=lambda values, step: calls.append(("log", values, step)), finish=lambda: calls.append(("finish",))
        )

    stand_in = SimpleNamespace(init=init, Image=lambda picture: ("Image", picture.shape))
    monkeypatch.setitem(sys.modules, library, stand_in)  # type: ignore[arg-type]
    logger, config = kind("stories", resume="allow"), TrainConfig(run=str(tmp_path / "first"))
    logger.log_config(config, 0)
    logger.log({"a": 0.5, "samples": PICTURE}, 3)
    logger.close()
    options = {"project": "stories", "name": "first", "resume": "allow", "config": config.to_dict()}
    values = {"a": 0.5, "samples": ("Image", (4, 6, 3))}
    assert calls == [("init", options), ("log", values, 3), ("finish",)]
    monkeypatch.setitem(sys.modules, library, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"^{kind.__name__} needs {library}: pip install {library}$"):
        kind()


def test_logged_metrics_are_read(tmp_path: Path) -> None:
    logged = [{"step": 1, "KL": 0.1}, {"step": 2, "KL": 3.4e38, "D_I": 1}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in logged) + '{"step": 3, "K')  # killed while writing
    assert list(read_metrics(path)) == logged


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "{}",
        "",
        "[",
        "[" * 100_000,
        '{"step": true}',
        '{"step": 0}',
        '{"step": 2, "KL": NaN}',
        '{"step": 2, "a": "x"}',
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(StoryganError, match=r"metrics\.jsonl, line 2, holds no metrics \(.*\): remove the line"):
        list(read_metrics(path))


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"metrics\.jsonl cannot be read"):
        list(read_metrics(tmp_path / "metrics.jsonl"))
