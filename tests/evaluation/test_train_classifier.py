"""Training and accuracy of the evaluation classifier."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from storygan.cli import main
from storygan.config import AuxClassifierConfig, AuxClassifierLoss, DataConfig, StageConfig, TrainConfig
from storygan.data.dataset import open_split
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.labelled_frames import LabelledFrames
from storygan.evaluation.r_precision import train_matcher
from storygan.evaluation.train_classifier import check_classifier, train_classifier
from storygan.models.attribute_classifier import AttributeClassifier, predict_objects, yaw_loss
from storygan.text.clevr import LABELS
from storygan.training.loop import train


def test_the_shipped_classifier_is_accurate_on_real_frames(classifier: AttributeClassifier, sample: Path) -> None:
    """On 16 test stories; its card has 300 validation stories and the official sample."""
    report = check_classifier(classifier, sample)
    for name in ("present", "size", "colour", "material", "empty_location"):
        assert report.metrics[name] > 0.95, name
    assert report.metrics["shape"] > 0.88
    assert all(counts.sum() == 16 * (1 + 2 + 3 + 4) for counts in report.confusion.values())
    assert "rows true, columns predicted" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["stories"] == 16


def test_a_short_training_learns(sample: Path) -> None:
    classifier = train_classifier(sample, epochs=4, batch_size=8)
    assert check_classifier(classifier, sample, "train").metrics["empty_location"] > 0.8
    about = {"data": "sample", "split": "train", "stories": 48, "epochs": 4, "seed": 0, "locations": True}
    assert classifier.about == about


def test_a_resnet_learns_and_its_folder_says_so(sample: Path, tmp_path: Path) -> None:
    command = ["train-classifier", "--data", str(sample), "--out", str(tmp_path / "C"), "--architecture", "resnet"]
    assert main([*command, "--epochs", "2"]) == 0
    classifier = AttributeClassifier.load(tmp_path / "C")
    assert classifier.architecture == "resnet"
    assert check_classifier(classifier, sample, "train").metrics["empty_location"] > 0.6
    settings = json.loads((tmp_path / "C/classifier.json").read_text())
    (tmp_path / "C/classifier.json").write_text(json.dumps({**settings, "architecture": "vgg"}))
    with pytest.raises(StoryganError, match="architecture is none of plain, resnet"):
        AttributeClassifier.load(tmp_path / "C")


@pytest.mark.skipif(torch.accelerator.is_available(), reason="this machine has an accelerator")
def test_a_missing_device_is_named(sample: Path) -> None:
    for use in (train_classifier, train_matcher, partial(check_classifier, None)):
        with pytest.raises(UsageError, match="there is no device cuda"):
            use(sample, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_classifier_and_matcher_train_on_a_gpu(sample: Path) -> None:
    classifier = train_classifier(sample, epochs=4, batch_size=8, device="cuda")
    assert check_classifier(classifier, sample, "train", "cuda").metrics["empty_location"] > 0.8
    assert next(train_matcher(sample, epochs=1, device="cuda").parameters()).device.type == "cpu"


def relabelled(folder: Path, sentences: list[str], labels: list[str] | None, source: Path) -> Path:
    """Write the 16 test stories of the sample with other sentences, and with the first labels under other names."""
    stories = [
        Story(s.story_id, sentences, s.frames, [row[: len(labels)] for row in s.labels or []] if labels else None)
        for s in read_stories(source, "test")
    ]
    write_shard(folder / shard_name("train", 0, 1), stories, labels)
    return folder


def test_a_classifier_of_labels_alone(sample: Path, tmp_path: Path) -> None:
    data = relabelled(tmp_path / "cartoon", ["Pororo sings."] * 4, ["Pororo", "Loopy", "Crong"], sample)
    classifier = train_classifier(data, epochs=2)
    assert classifier.labels == ("Pororo", "Loopy", "Crong")
    assert not classifier.predicts_locations
    metrics = check_classifier(classifier, data, "train").metrics
    labels = ("exact_match", "micro_f1", "micro_precision", "micro_recall", "consistency")
    assert set(metrics) == {f"label_{name}" for name in labels}


def test_data_without_a_target_are_refused(classifier: AttributeClassifier, sample: Path, tmp_path: Path) -> None:
    unlabelled = relabelled(tmp_path / "unlabelled", ["Pororo sings."] * 4, None, sample)
    with pytest.raises(UsageError, match="no labels"):
        train_classifier(unlabelled)
    with pytest.raises(UsageError, match="nothing to classify"):
        check_classifier(classifier, unlabelled, "train")
    cartoon = relabelled(tmp_path / "cartoon", ["Pororo sings."] * 4, ["Pororo"], sample)
    with pytest.raises(UsageError, match="neither the labels"):
        check_classifier(classifier, cartoon, "train")
    with pytest.raises(UsageError, match="more stories"):
        train_classifier(cartoon, batch_size=17)


def test_train_and_check_from_the_command_line(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "classifier")
    assert main(["train-classifier", "--data", str(sample), "--out", out, "--epochs", "1"]) == 0
    assert f"check-classifier --classifier {out}" in capsys.readouterr().out
    assert main(["check-classifier", "--classifier", out, "--data", str(sample), "--json"]) == 0
    assert "shape" in json.loads(capsys.readouterr().out)["confusion"]


@pytest.mark.slow
def test_an_auxiliary_classifier_learns_directions(sample: Path, tmp_path: Path) -> None:
    """Of the cubes that the frame shows; a saved classifier predicts the same."""
    loss = AuxClassifierLoss(label=1, present=1, attributes=1, direction=1)
    stage = StageConfig(iterations=150, frames=1, C=AuxClassifierConfig(lr=2e-3, betas=(0.9, 0.999), loss=loss))
    train(TrainConfig(run=str(tmp_path), data=DataConfig(str(sample)), stages={"only": stage}, checkpoint_every=1000))
    dataset = open_split(sample, "train")
    story_idx, last = np.arange(len(dataset)), np.full((len(dataset), 1), dataset.T - 1)
    truth = LabelledFrames.from_dataset(dataset).targets(story_idx, last, np.random.default_rng(0))
    T, losses = dataset.T, {}
    trained = AttributeClassifier.load(tmp_path / "stages/1-only/aux_classifier")
    for name, C in {"trained": trained, "new": AttributeClassifier(LABELS, yaw=True).eval()}.items():
        maps, *_ = C.predict(dataset.frames[:, dataset.T - 1])
        assert maps.shape[1] == 18
        losses[name] = yaw_loss(maps, truth.locations[:, :T], truth.direction, truth.has_direction).item()
        assert predict_objects(maps, truth.locations[:, :T].numpy()).attributes.shape == (len(dataset), 4, 4)
    assert losses["trained"] < 0.8 < losses["new"]
