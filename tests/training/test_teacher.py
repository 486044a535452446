"""The teacher: real frames please it most, its gradient draws what is told, and it never changes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from storygan.config import DataConfig, ModelConfig, TrainConfig, WarmUpConfig
from storygan.data.clevr.scene import sample_scene
from storygan.data.clevr.stage import CAMERA
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.models.recognizer import SHIPPED, Recognizer
from storygan.text.clevr import LABELS
from storygan.training.batches import to_images
from storygan.training.coupled_noise import CoupledNoise
from storygan.training.loop import Trainer
from storygan.training.teacher import Teacher
from storygan.types import UsageError

B = 4
CHOSEN = np.arange(B)
SHOWN = np.tile(np.arange(4), (B, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def frames(data: Path) -> torch.Tensor:
    return to_images(open_split(data, "train").batch(CHOSEN))


@pytest.fixture(scope="module")
def teacher(data: Path) -> Teacher:
    return Teacher(str(SHIPPED), open_split(data, "train"))


def said(teacher: Teacher, X: torch.Tensor) -> torch.Tensor:
    return teacher.loss(X, CHOSEN, SHOWN, np.random.default_rng(0))


def test_real_frames_please_it_most(teacher: Teacher, frames: torch.Tensor) -> None:
    real = said(teacher, frames).item()
    forgotten = frames[:, [0, 0, 0, 0]]  # nothing is added after the first sentence
    extra = frames[:, [3, 3, 3, 3]]  # everything is there from the start
    others = frames.roll(1, 0)
    assert real < 0.3
    for wrong in (forgotten, extra, others):
        assert said(teacher, wrong).item() > real + 0.3


def test_its_gradient_draws_what_is_told(teacher: Teacher, frames: torch.Tensor) -> None:
    before = {name: value.clone() for name, value in teacher.recognizer.state_dict().items()}
    X_hat = frames.mean((0, 1), keepdim=True).expand_as(frames).clone().requires_grad_()
    adam = torch.optim.Adam([X_hat], lr=0.05)
    losses = []
    for _ in range(15):
        loss = said(teacher, X_hat)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    assert all(parameter.grad is None for parameter in teacher.recognizer.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.recognizer.state_dict().items())


def test_the_warm_up_and_the_adversarial_phase_are_taught_and_repeatable(data: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        run=str(tmp_path / "run"),
        data=DataConfig(str(data)),
        model=ModelConfig(noise_dim=4),
        warm_up=WarmUpConfig(iterations=1),
        teacher=str(SHIPPED),
        batch_size=2,
    )
    told = []
    for _ in range(2):
        trainer = Trainer.build(config, open_split(data, "train"))
        told.append([trainer.iteration()["teacher"].item() for _ in range(2)])
    assert told[0] == told[1]
    assert min(told[0]) > 0


def test_of_labels_alone(data: Path, frames: torch.Tensor, tmp_path: Path) -> None:
    """Its loss is the labels' cross-entropy, of the part of the batch it sees; its gradient reaches each frame."""
    dataset = open_split(data, "train")
    assert dataset.labels is not None
    assert dataset.label_names is not None
    Recognizer(dataset.label_names, {"places": False}).save(tmp_path)
    teacher = Teacher(str(tmp_path), dataset)
    X_hat = frames[2:].clone().requires_grad_()
    loss = teacher.loss(X_hat, CHOSEN, SHOWN, np.random.default_rng(0), slice(2, 4))
    logits = teacher.recognizer(X_hat.flatten(0, 1))[1]
    labels = torch.from_numpy(dataset.labels[2:4]).flatten(0, 1).float()
    p = logits.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum(1).mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert X_hat.grad is not None
    assert (X_hat.grad.flatten(2).abs().sum(2) > 0).all()


def test_a_recognizer_of_other_labels_cannot_teach(data: Path, tmp_path: Path) -> None:
    Recognizer(("cat", "dog"), {"places": False}).save(tmp_path)
    with pytest.raises(UsageError, match="cannot teach: it knows other labels"):
        Teacher(str(tmp_path), open_split(data, "train"))


def test_some_frames_are_asked_what_they_show(teacher: Teacher, frames: torch.Tensor) -> None:
    rows, shown = np.arange(B)[:, None], np.array([[1, 3]] * B)
    some = frames[rows, shown]
    right = teacher.loss(some, CHOSEN, shown, np.random.default_rng(0)).item()
    wrong = teacher.loss(some, CHOSEN, shown - 1, np.random.default_rng(0)).item()
    assert right < 0.3 < wrong


def test_one_that_reads_turns_tells_them_where_noise_does(data: Path, frames: torch.Tensor, tmp_path: Path) -> None:
    """It reads a turn of 0 everywhere: the cubes that a frame shows are 2 - 2 cos(4 r) from it, r from the camera's
    line of sight, some frames or all."""
    dataset, recognizer = open_split(data, "train"), Recognizer(LABELS, {"places": True}, turns=True)
    head = recognizer.turns[-1]
    head.weight.data.zero_()
    head.bias.data = torch.tensor([1.0, 0.0])
    coupled = CoupledNoise(dataset, 10)
    plain, told = (Teacher(str(recognizer.save(tmp_path)), dataset, known) for known in (None, coupled))
    chosen, shown = np.array([5, 0, 7, 2]), np.array([[0, 3], [1, 2], [2, 3], [0, 1]])
    X = frames[:, :2]
    turns = [teacher.loss(X, chosen, shown, np.random.default_rng(0)).item() for teacher in (plain, told)]
    expected = [
        2 - 2 * np.cos(4 * (scene.rotations[j] - np.arctan2(thing.y - y, thing.x - x)))
        for number, row in zip(chosen, shown, strict=True)
        for scene in [sample_scene(0, number)]
        for x, y, _ in [np.add(CAMERA, scene.camera)]
        for t in row
        for j, thing in enumerate(scene.objects[: t + 1])
        if thing.shape == "cube"
    ]
    assert len(expected) > 4
    assert turns[1] - turns[0] == pytest.approx(np.mean(expected), abs=1e-4)
    shipped = [Teacher(str(SHIPPED), dataset, known) for known in (None, coupled)]
    assert torch.equal(said(shipped[0], frames), said(shipped[1], frames)), "one that reads none tells none"
