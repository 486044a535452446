"""The attribute classifier: its outputs, its loss of yaw, and its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from storygan.data.dataset import StoryDataset, open_split
from storygan.errors import StoryganError
from storygan.models.attribute_classifier import (
    N_FEATURES,
    SHIPPED,
    AttributeClassifier,
    at_locations,
    predict_objects,
    yaw_loss,
)
from storygan.models.storygan import shipped_models
from storygan.text.clevr import LABELS


@pytest.fixture(scope="module")
def stories(sample: Path) -> StoryDataset:
    """The 16 test stories of the sample."""
    return open_split(sample, "test")


@pytest.fixture(scope="module")
def classifier() -> AttributeClassifier:
    """The shipped classifier for CLEVR-SV."""
    return AttributeClassifier.load()


def test_shapes_and_frames_of_another_size(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    frames = stories.batch([0]).reshape(-1, 64, 64, 3)
    maps, labels, features = classifier.predict(frames)
    assert maps.shape == (4, 16, 32, 32)
    assert labels.shape == (4, len(LABELS))
    assert features.shape == (4, N_FEATURES)
    larger = frames.repeat(2, 1).repeat(2, 2)
    assert np.abs(classifier.predict(larger)[1] - labels).mean() < 0.1, "frames are resized to 64"


def test_predictions_do_not_depend_on_the_batch(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    frames = stories.batch(range(3)).reshape(-1, 64, 64, 3)
    together, alone = classifier.predict(frames)[0], classifier.predict(frames[5:6])[0]
    assert torch.allclose(together[5:6], alone, atol=1e-4)


def test_logits_at_locations_are_interpolated_from_the_map() -> None:
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    maps = torch.stack([columns, rows])[None]
    locations = torch.tensor([[[0.5, 0.25], [(3 + 0.5) / 32, (7 + 0.5) / 32]]])
    assert at_locations(maps, locations)[0].tolist() == pytest.approx(np.array([[15.5, 7.5], [3, 7]]))


def test_predictions_at_locations(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    maps, _, _ = classifier.predict(stories.batch([0])[0])
    prediction = predict_objects(maps, np.full((4, 3, 2), 0.5, np.float32))
    assert prediction.present.shape == (4, 3)
    assert ((prediction.present >= 0) & (prediction.present <= 1)).all()
    assert prediction.attributes.shape == (4, 3, 4)
    assert (prediction.attributes < (2, 8, 2, 3)).all()


def test_yaw_loss_counts_cubes_alone() -> None:
    maps, locations = torch.zeros(2, 18, 32, 32), torch.full((2, 4, 2), 0.5)
    maps[:, 16] = 1.0  # a yaw of 0 everywhere
    yaw = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]]).expand(2, -1, -1)
    counts = torch.zeros(2, 4, dtype=torch.bool)
    assert yaw_loss(maps, locations, yaw, counts) == 0
    counts[0, :3] = True
    assert yaw_loss(maps, locations, yaw, counts).item() == pytest.approx((0 + 2 + 4) / 3)


def test_a_saved_classifier_loads(classifier: AttributeClassifier, stories: StoryDataset, tmp_path: Path) -> None:
    loaded = AttributeClassifier.load(classifier.save(tmp_path / "saved"))
    assert (loaded.labels, loaded.about) == (classifier.labels, classifier.about)
    frames = stories.batch([1])[0]
    assert torch.equal(loaded.predict(frames)[0], classifier.predict(frames)[0])


def test_damaged_folders_are_errors(classifier: AttributeClassifier, tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="nothing-here"):
        AttributeClassifier.load(tmp_path / "nothing-here")
    folder = classifier.save(tmp_path / "damaged")
    whole = (folder / "classifier.safetensors").read_bytes()
    (folder / "classifier.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoryganError, match="damaged"):
        AttributeClassifier.load(folder)
    (folder / "classifier.safetensors").write_bytes(whole)
    state = load_file(folder / "classifier.safetensors")
    state.pop("label_head.weight")
    save_file(state, folder / "classifier.safetensors")
    with pytest.raises(StoryganError, match=r"label_head\.weight"):
        AttributeClassifier.load(folder)


@pytest.mark.parametrize("folder", sorted(SHIPPED.parent.glob("classifier-*")), ids=lambda folder: folder.name)
def test_shipped_classifiers_are_small_and_no_models(folder: Path) -> None:
    assert folder.name not in shipped_models()
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert set(files) == {"README.md", "classifier.json", "classifier.safetensors"}
    assert sum(files.values()) < 1_000_000
    assert json.loads((folder / "classifier.json").read_text())["about"]["split"] == "train"
