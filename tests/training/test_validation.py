"""Validation metrics equal those of `evaluate`, and the best model is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.training.tiny import G

from storygan.config import DataConfig, ModelConfig, StageConfig, TrainConfig, ValidationConfig
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.errors import StoryganError
from storygan.evaluation.measure import measure
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.storygan import StoryGAN
from storygan.training import loop
from storygan.training.loop import train


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_validation_is_logged_and_the_best_model_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / "sample")
    config = TrainConfig(
        run=str(tmp_path / "run"),
        data=DataConfig(str(tmp_path / "sample")),
        model=ModelConfig(noise_dim=10),
        stages={"stage": StageConfig(iterations=3, batch_size=2, G=G(loss={"mse": 1}))},
        validation=ValidationConfig(every=1, split="test", stories=3),
        log_every=3,
        checkpoint_every=3,
        threads=1,
    )
    measured = loop.Validation.__call__
    given = iter([0.25, 0.75, 0.5])
    monkeypatch.setattr(
        loop.Validation, "__call__", lambda self, model: {**measured(self, model), "object_accuracy": next(given)}
    )
    train(config, until=2)
    second = (tmp_path / "run/best/model.safetensors").read_bytes()
    assert second == (tmp_path / "run/model/model.safetensors").read_bytes()
    train(config, resume=True)
    assert (tmp_path / "run/best/model.safetensors").read_bytes() == second
    assert (tmp_path / "run/model/model.safetensors").read_bytes() != second
    lines = [line for line in metrics(tmp_path / "run") if "validation/object_accuracy" in line]
    assert [line["validation/object_accuracy"] for line in lines] == [0.25, 0.75, 0.5]
    assert {"validation/story_consistency", "validation/label_micro_f1"} <= lines[0].keys()
    for split, metric, message in (
        ("test", "nonsense", "for these stories there is object_accuracy, "),
        ("validation", "object_accuracy", "no split 'validation'"),
    ):
        other = replace(config, run=str(tmp_path / "no"), validation=ValidationConfig(1, split, 3, metric))
        with pytest.raises(StoryganError, match=message):
            train(other)


def test_validation_measures_what_evaluate_measures(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    config = TrainConfig(
        data=DataConfig(str(tmp_path / "sample")), validation=ValidationConfig(every=1, split="test", stories=16)
    )
    model, dataset = StoryGAN.from_pretrained("clevr-sv"), open_split(tmp_path / "sample", "test")
    found = loop.Validation(config)(model)
    generated = fuse_batch_norm(model).generate_dataset(dataset.sentences, seed=0)
    expected = measure(dataset, tmp_path / "sample", {"model": generated}, 0).table["model"]
    for name in ("object_accuracy", "story_consistency", "label_micro_f1"):
        estimate = expected[name]
        assert estimate is not None
        assert found[name] == pytest.approx(estimate.mean)
