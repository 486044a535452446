"""The classifier: saved and loaded, asked about places, trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from storygan.config import AuxClassifierConfig, AuxClassifierLoss, DataConfig, StageConfig, TrainConfig
from storygan.data.clevr.locations import image_coordinates
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.data.toon.render import render_toon
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.labelled_frames import (
    FrameContent,
    Targets,
    augment,
    blemish,
    find_classifier,
    labelled_frames,
    move,
)
from storygan.evaluation.train_classifier import check_classifier, train_classifier
from storygan.models.attribute_classifier import (
    N_FEATURES,
    SHIPPED,
    WEIGHTS,
    AttributeClassifier,
    at_locations,
    predict_objects,
    yaw_loss,
)
from storygan.models.storygan import shipped_models
from storygan.text.clevr import LABELS
from storygan.training.loop import train


def test_what_it_says_of_frames(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    frames = stories.batch([0]).reshape(-1, 64, 64, 3)
    maps, labels, features = classifier.predict(frames)
    assert maps.shape == (4, 16, 32, 32)
    assert labels.shape == (4, len(LABELS))
    assert features.shape == (4, N_FEATURES)
    larger = frames.repeat(2, 1).repeat(2, 2)
    assert np.abs(classifier.predict(larger)[1] - labels).mean() < 0.1, "frames of another size are brought to 64"


def test_a_frame_is_read_alike_in_any_batch(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    frames = stories.batch(range(3)).reshape(-1, 64, 64, 3)
    sync_errors, alone = classifier.predict(frames)[0], classifier.predict(frames[5:6])[0]
    assert torch.allclose(sync_errors[5:6], alone, atol=1e-4)


def test_logits_at_locations_are_those_of_the_map_there() -> None:
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    maps = torch.stack([columns, rows])[None]
    places = torch.tensor([[[0.5, 0.25], [(3 + 0.5) / 32, (7 + 0.5) / 32]]])
    assert at_locations(maps, places)[0].tolist() == pytest.approx(np.array([[15.5, 7.5], [3, 7]]))


def test_saved_and_loaded(classifier: AttributeClassifier, stories: StoryDataset, tmp_path: Path) -> None:
    again = AttributeClassifier.load(classifier.save(tmp_path / "again"))
    assert (again.labels, again.about) == (classifier.labels, classifier.about)
    frames = stories.batch([1])[0]
    assert torch.equal(again.predict(frames)[0], classifier.predict(frames)[0])


def test_broken_folders_are_named(classifier: AttributeClassifier, tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="nothing-here"):
        AttributeClassifier.load(tmp_path / "nothing-here")
    folder = classifier.save(tmp_path / "torn")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoryganError, match="torn"):
        AttributeClassifier.load(folder)
    (folder / WEIGHTS).write_bytes(whole)
    state = load_file(folder / WEIGHTS)
    state.pop("label_head.weight")
    save_file(state, folder / WEIGHTS)
    with pytest.raises(StoryganError, match=r"label_head\.weight"):
        AttributeClassifier.load(folder)


@pytest.mark.parametrize("folder", sorted(SHIPPED.parent.glob("classifier-*")), ids=lambda folder: folder.name)
def test_shipped_ones_are_small_and_are_no_models_to_draw_with(folder: Path) -> None:
    assert folder.name not in shipped_models()
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert set(files) == {"README.md", "classifier.json", "classifier.safetensors"}
    assert sum(files.values()) < 1_000_000
    assert json.loads((folder / "classifier.json").read_text())["about"]["split"] == "train"


def test_the_judge_is_the_shipped_one_that_knows_the_stories(tiny_dataset: Path, tmp_path: Path) -> None:
    render_toon(tmp_path, train=1, test=4, workers=1)
    data = {"clevr-sv": tiny_dataset, "toon": tmp_path}
    known = {name: labelled_frames(open_split(folder, "train")) for name, folder in data.items()}
    assert {name: find_classifier(known[name]).about["data"] for name in data} == {name: name for name in data}
    with pytest.raises(UsageError, match="classifier-clevr-sv is a classifier of neither the places nor the labels"):
        find_classifier(known["toon"], SHIPPED)
    assert find_classifier(None).about["data"] == "clevr-sv"
    accuracy = check_classifier(None, tmp_path)
    assert accuracy.values["label_micro_f1_place"] > 0.9
    assert accuracy.values["label_micro_f1_character"] > 0.9


def test_the_shipped_one_reads_real_frames(classifier: AttributeClassifier, sample: Path) -> None:
    """Of 16 test stories; those of 300 validation stories and of the official sample are in its card."""
    accuracy = check_classifier(classifier, sample)
    for name in ("there", "size", "colour", "material", "empty_place"):
        assert accuracy.values[name] > 0.95, name
    assert accuracy.values["shape"] > 0.88
    assert all(counts.sum() == 16 * (1 + 2 + 3 + 4) for counts in accuracy.confusion.values())
    assert "told in rows" in str(accuracy)
    assert json.loads(json.dumps(accuracy.to_dict()))["stories"] == 16


def test_training_moves_places_with_the_picture() -> None:
    """A dot at a place is still there after both were moved."""
    rng = np.random.default_rng(0)
    places = image_coordinates(rng.uniform(-2, 2, (20, 1, 2)).astype(np.float32))
    x = torch.zeros(20, 1, 64, 64)
    for b, (column, row) in enumerate((places[:, 0] * 64).astype(int)):
        x[b, 0, row, column] = 1
    moved, placed, _ = move(x, rng)
    for b, (column, row) in enumerate((placed(places)[:, 0] * 64).astype(int)):
        assert moved[b, 0, row, column] == 1
    assert not torch.equal(moved, x)


def test_blemishes_are_mild() -> None:
    x = torch.rand(32, 3, 64, 64) * 2 - 1
    blemished = blemish(x, np.random.default_rng(0))
    assert blemished.shape == x.shape
    assert 0.01 < (blemished - x).square().mean().sqrt() < 0.4


def test_augmentation_follows_from_its_seed_alone() -> None:
    """So that a run that goes on, and every process of several, sees the same frames."""
    X, targets = torch.rand(8, 4, 3, 64, 64) * 2 - 1, Targets(torch.zeros(32, 15))
    one, two = (augment(X, targets, np.random.default_rng(0))[0] for _ in range(2))
    assert torch.equal(one, two)


def test_a_little_training_learns(sample: Path) -> None:
    classifier = train_classifier(sample, epochs=4, batch_size=8)
    assert check_classifier(classifier, sample, "train").values["empty_place"] > 0.8
    about = {"data": "sample", "split": "train", "stories": 48, "epochs": 4, "seed": 0, "locations": True}
    assert classifier.about == about


def write(folder: Path, sentences: list[str], labels: list[str] | None, source: Path) -> Path:
    """16 stories of the sample with other sentences, and with labels where they have names."""
    stories = [
        Story(s.story_id, sentences, s.frames, [row[: len(labels)] for row in s.labels or []] if labels else None)
        for s in read_stories(source, "test")
    ]
    write_shard(folder / shard_name("train", 0, 1), stories, labels)
    return folder


def test_any_labelled_data_set_has_a_label_classifier(sample: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "cartoon", ["Pororo sings."] * 4, ["Pororo", "Loopy", "Crong"], sample)
    classifier = train_classifier(data, epochs=2)
    assert classifier.labels == ("Pororo", "Loopy", "Crong")
    assert not classifier.predicts_locations
    values = check_classifier(classifier, data, "train").values
    assert set(values) == {"label_exact_match", "label_micro_f1", "label_consistency"}


def test_what_cannot_be_learned_is_refused(classifier: AttributeClassifier, sample: Path, tmp_path: Path) -> None:
    mute = write(tmp_path / "mute", ["Pororo sings."] * 4, None, sample)
    with pytest.raises(UsageError, match="no labels"):
        train_classifier(mute)
    with pytest.raises(UsageError, match="nothing to recognize"):
        check_classifier(classifier, mute, "train")
    cartoon = write(tmp_path / "cartoon", ["Pororo sings."] * 4, ["Pororo"], sample)
    with pytest.raises(UsageError, match="neither the labels"):
        check_classifier(classifier, cartoon, "train")
    with pytest.raises(UsageError, match="more stories"):
        train_classifier(cartoon, batch_size=17)


def test_reading_gives_probabilities_and_words(classifier: AttributeClassifier, stories: StoryDataset) -> None:
    maps, _, _ = classifier.predict(stories.batch([0])[0])
    reading = predict_objects(maps, np.full((4, 3, 2), 0.5, np.float32))
    assert reading.present.shape == (4, 3)
    assert ((reading.present >= 0) & (reading.present <= 1)).all()
    assert reading.attributes.shape == (4, 3, 4)
    assert (reading.attributes < (2, 8, 2, 3)).all()


@pytest.mark.slow
def test_an_auxiliary_classifier_learns_directions(sample: Path, tmp_path: Path) -> None:
    """Of the cubes that are there, as the data set's nuisance values say; saved and loaded, it reads the same."""
    loss = AuxClassifierLoss(label=1, present=1, attributes=1, direction=1)
    stage = StageConfig(iterations=150, frames=1, C=AuxClassifierConfig(lr=2e-3, betas=(0.9, 0.999), loss=loss))
    train(TrainConfig(run=str(tmp_path), data=DataConfig(str(sample)), stages={"only": stage}, checkpoint_every=1000))
    dataset = open_split(sample, "train")
    story_idx, last = np.arange(len(dataset)), np.full((len(dataset), 1), dataset.T - 1)
    truth = FrameContent(dataset).targets(story_idx, last, np.random.default_rng(0))
    T, losses = dataset.T, {}
    trained = AttributeClassifier.load(tmp_path / "stages/1-only/aux_classifier")
    for name, one in {"trained": trained, "new": AttributeClassifier(LABELS, yaw=True).eval()}.items():
        maps, *_ = one.predict(dataset.frames[:, dataset.T - 1])
        assert maps.shape[1] == 18
        losses[name] = yaw_loss(maps, truth.locations[:, :T], truth.direction, truth.has_direction).item()
        assert predict_objects(maps, truth.locations[:, :T].numpy()).attributes.shape == (len(dataset), 4, 4)
    assert losses["trained"] < 0.8 < losses["new"]


def test_turns_are_read_where_cubes_are() -> None:
    maps, places = torch.zeros(2, 18, 32, 32), torch.full((2, 4, 2), 0.5)
    maps[:, 16] = 1.0  # at every place: a turn of 0
    turns = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]]).expand(2, -1, -1)
    counts = torch.zeros(2, 4, dtype=torch.bool)
    assert yaw_loss(maps, places, turns, counts) == 0
    counts[0, :3] = True
    assert yaw_loss(maps, places, turns, counts).item() == pytest.approx((0 + 2 + 4) / 3)
