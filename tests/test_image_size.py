"""Frames of 128x128: from the data through training to a saved model, its evaluation and its graph."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import tiny_story
from tests.tiny_run import new_run

from storygan import export
from storygan.cli import main
from storygan.config import ModelConfig
from storygan.data.images import encode_png
from storygan.data.schema import Story, shard_name, write_shard
from storygan.errors import UsageError
from storygan.evaluation import distances
from storygan.evaluation.report import evaluate
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import LABELS


def enlarged(story: Story) -> Story:
    frames = [encode_png(Image.open(io.BytesIO(frame)).resize((128, 128))) for frame in story.frames]
    return replace(story, frames=frames)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and two test stories of one frame of 128x128."""
    folder = tmp_path_factory.mktemp("data")
    for split, numbers in (("train", range(8)), ("test", range(8, 10))):
        write_shard(folder / shard_name(split, 0, 1), [enlarged(tiny_story(n, T=1)) for n in numbers], LABELS)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two iterations, with both discriminators and what an auxiliary classifier makes of its frames."""
    run = tmp_path_factory.mktemp("run") / "run"
    networks = (
        "D_I: {loss: {L_image: 1}}, D_S: {loss: {L_story: 1}}, G: {loss: {L_image: 1, L_story: 1, mse: 1, aux: 1}}"
    )
    stages = (
        "{aux: {iterations: 1, batch_size: 2, C: {loss: {label: 1}}}, "
        f"adversarial: {{iterations: 1, batch_size: 2, {networks}}}}}"
    )
    assert main(new_run(data, run, stages=stages, **{"model.image_size": 128, "sample_every": 9})) == 0
    return run / "model"


def test_a_model_of_128_is_trained_saved_and_loaded(model: Path) -> None:
    assert json.loads((model / "config.json").read_text())["image_size"] == 128
    assert "frames of 128x128" in (model / "README.md").read_text()
    output = StoryGAN.from_pretrained(model).generate(["large red rubber cube at (0, 0)"])
    assert output.frames.shape == (1, 1, 128, 128, 3)
    assert np.asarray(output.images[0][0]).shape[0] == 3 * 128


def test_evaluation_of_both_sizes(model: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "feature_extractors", dict)
    metrics = evaluate(str(model), data).to_dict()["metrics"]
    assert metrics["real_frames"]["ssim_01_gauss11"]["mean"] == pytest.approx(1)
    assert {"label_micro_f1", "psnr_01"} <= set(metrics["model"])
    with pytest.raises(UsageError, match=r"64 pixels a side, .* have 128: .* --size 64"):
        evaluate("clevr-sv", data)


def test_the_classifier_resizes_frames_and_passes_gradients() -> None:
    classifier = AttributeClassifier(LABELS).eval()
    x = torch.rand(2, 3, 128, 128, requires_grad=True)
    _, labels, features = classifier(x)
    assert (labels.shape, features.shape) == ((2, len(LABELS)), (2, 96))
    labels.sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.5
    flat = torch.full((1, 3, 128, 128), 0.25)
    assert torch.allclose(classifier(flat)[1], classifier(flat[:, :, :64, :64])[1], atol=1e-5)


@pytest.mark.slow
def test_the_graph_of_128_equals_pytorch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert export.export_onnx(StoryGAN(ModelConfig(T=2, noise_dim=7, image_size=128)), tmp_path / "a.onnx") < 1e-4
