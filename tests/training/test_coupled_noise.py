"""Coupled noise: what a rendered story does not tell stands in it, and over the stories it is standard normal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from storygan.config import DataConfig, ModelConfig, TrainConfig, WarmUpConfig
from storygan.data.clevr.scene import sample_scene
from storygan.data.clevr.stage import CAMERA
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.sample import write_sample
from storygan.models.noise import Noise
from storygan.text.clevr import format_sentence
from storygan.training import steps
from storygan.training.coupled_noise import CoupledNoise
from storygan.training.loop import Trainer
from storygan.types import UsageError

CONFIG = ModelConfig(noise_dim=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(data: Path) -> StoryDataset:
    return open_split(data, "train")


def drawn(B: int, seed: int = 0) -> Noise:
    return Noise.draw(B, CONFIG, torch.Generator().manual_seed(seed))


def test_it_says_where_camera_and_lights_strayed_and_how_each_cube_is_turned(dataset: StoryDataset) -> None:
    before = drawn(3)
    noise = CoupledNoise(dataset, 4).couple(before, np.array([5, 0, 7]))
    for row, number in enumerate((5, 0, 7)):
        scene = sample_scene(0, number)
        strayed = torch.tensor([*scene.camera, *scene.key, *scene.fill, *scene.back])
        z = noise.eps_0[row, :12]
        u = 0.5 * (1 + torch.erf(z / 2**0.5))  # in (0, 1) again
        reach = torch.tensor([0.5] * 3 + [1.0] * 9)
        torch.testing.assert_close((2 * u - 1) * reach, strayed, atol=1e-5, rtol=0)
        for t, thing in enumerate(scene.objects):
            x, y = noise.eps[row, t, :2].tolist()
            if thing.shape == "cube":
                at = np.array(CAMERA) + scene.camera
                line_of_sight = np.arctan2(thing.y - at[1], thing.x - at[0])
                turn = np.arctan2(y, x) / 4 + line_of_sight
                assert abs(np.sin(2 * (turn - scene.rotations[t]))) < 1e-5  # the same but for quarters
                np.testing.assert_allclose(np.hypot(x, y), before.eps[row, t, :2].norm(), rtol=1e-5)
            else:
                assert torch.equal(noise.eps[row, t], before.eps[row, t])
    assert torch.equal(noise.eps_0[:, 12:], before.eps_0[:, 12:])
    assert torch.equal(noise.eps[..., 2:], before.eps[..., 2:])
    assert torch.equal(noise.g_0, before.g_0)


def test_over_the_stories_it_is_standard_normal() -> None:
    ids = [f"clevr-9-{number:08d}" for number in range(400)]
    scenes = [sample_scene(9, number) for number in range(400)]
    sentences = [[format_sentence(thing) for thing in scene.objects] for scene in scenes]
    stories = StoryDataset(np.empty((400, 4, 0, 0, 3), np.uint8), sentences, None, None, ids, "")
    noise = CoupledNoise(stories, 4).couple(drawn(400), np.arange(400))
    for values in (*noise.eps_0[:, :12].T, *noise.eps[..., :2].flatten(0, 1).T):
        assert kstest(values.numpy(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(np.concatenate([noise.eps_0[:, :12], noise.eps[:, 0, :2]], 1).T) - np.eye(14)
    assert np.abs(correlations).max() < 0.2


@pytest.mark.parametrize("story_id", ["mine-1", "clevr-0-0000", "clevr-1-00000000", "clevr-x-00000000"])
def test_a_story_of_another_maker_is_refused(dataset: StoryDataset, story_id: str) -> None:
    foreign = replace(dataset, story_ids=[story_id, *dataset.story_ids[1:]])
    with pytest.raises(UsageError, match=f"story {story_id!r} is not as"):
        CoupledNoise(foreign, 4)


def test_a_turn_needs_two_values(dataset: StoryDataset) -> None:
    with pytest.raises(UsageError, match="noise_dim is 1"):
        CoupledNoise(dataset, 1)


def test_training_draws_with_it(data: Path, tmp_path: Path) -> None:
    """In the warm-up and in the adversarial phase, and the same again."""
    config = TrainConfig(
        run=str(tmp_path / "run"),
        data=DataConfig(str(data)),
        model=CONFIG,
        warm_up=WarmUpConfig(iterations=1),
        batch_size=2,
    )
    told = {}
    for coupled in (False, True, True):
        trainer = Trainer.build(replace(config, coupled_noise=coupled), open_split(data, "train"))
        errors = [trainer.iteration()["squared_error"].item() for _ in range(2)]
        assert told.setdefault(coupled, errors) == errors
    assert all(a != b for a, b in zip(told[True], told[False], strict=True))


def test_a_sentence_told_elsewhere_takes_its_noise_with_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order the warm-up draws the same frames of the same sentences, each with its cube's turn."""
    asked: list[tuple[torch.Tensor, ...]] = []

    def watched(G: torch.nn.Module, S: torch.Tensor, noise: Noise, drawn: torch.Tensor) -> steps.Generated:
        asked.append((torch.cat([S, noise.eps], 2), noise.eps_0, noise.g_0, drawn))
        return generate(G, S, noise, drawn)

    generate = steps.generate
    monkeypatch.setattr(steps, "generate", watched)
    for any_order in (False, True):
        config = TrainConfig(
            run=str(tmp_path / "run"),
            data=DataConfig(str(data)),
            model=CONFIG,
            warm_up=WarmUpConfig(iterations=1, frames=1, any_order=any_order),
            coupled_noise=True,
            batch_size=8,
        )
        trainer = Trainer.build(config, open_split(data, "train"))
        trainer.iteration()
        trainer.iteration()  # the adversarial phase, as it is told
    as_told, told = asked[:2], asked[2:]
    for one, other in zip(as_told[0][1:], told[0][1:], strict=True):
        assert torch.equal(one, other)
    moved = 0
    for one, other in zip(as_told[0][0], told[0][0], strict=True):
        assert sorted(one.tolist()) == sorted(other.tolist())
        moved += not torch.equal(one, other)
    assert moved >= 4  # of 8
    assert all(map(torch.equal, as_told[1][:3], told[1][:3]))
