"""Stories, frames and noise of an iteration."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.tiny import G, one_stage, paper_stage

from storygan.config import AuxClassifierConfig, AuxClassifierLoss, DataConfig, ModelConfig, StageConfig
from storygan.data.dataset import open_split
from storygan.data.schema import read_metadata, read_stories, shard_name, shard_paths, write_shard
from storygan.evaluation.labelled_frames import LabelledFrames, augment, classifier_terms, to_images
from storygan.models.attribute_classifier import SHIPPED, AttributeClassifier
from storygan.text.clevr import LABELS
from storygan.training.batches import (
    derive_seed,
    frames_on_device,
    indices,
    iterations_per_epoch,
    sample_disc_frames,
    sample_frames,
    sample_orders,
)

WHOLE = slice(None)


def test_an_epoch_sees_every_story_once() -> None:
    n = iterations_per_epoch(stories=23, batch_size=4)
    assert n == 5
    seen = np.concatenate([indices(23, 4, seed=0, stage=0, k=k) for k in range(n)])
    assert len(set(seen.tolist())) == 20
    other = np.concatenate([indices(23, 4, seed=0, stage=0, k=k) for k in range(n, 2 * n)])
    assert not np.array_equal(seen, other)
    for seed, stage in ((1, 0), (0, 1)):
        assert not np.array_equal(seen[:4], indices(23, 4, seed=seed, stage=stage, k=0))


def test_frames_on_the_device_are_those_of_the_memory_map(sample: Path) -> None:
    loader = one_stage(sample, paper_stage(batch_size=4, frames=2)).loader
    expected = loader.load(1, slice(2, 4)).X
    assert frames_on_device(loader.dataset, torch.device("cpu")) is None  # the memory map serves a processor
    loader.frames = torch.from_numpy(np.array(loader.dataset.frames))
    assert torch.equal(loader.load(1, slice(2, 4)).X, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_holds_the_frames(sample: Path) -> None:
    trainer = one_stage(sample, paper_stage(batch_size=4, frames=2), device="cuda")
    assert trainer.loader.frames is not None
    assert trainer.loader.load(0, WHOLE).X.is_cuda


def test_disc_frames_are_different_ones_and_all_as_likely() -> None:
    seen, rng = np.zeros((3, 4), int), np.random.default_rng(0)
    for _ in range(300):
        sampled = sample_disc_frames(3, 4, 2, rng)
        assert sampled.shape == (3, 2)
        for story, frames in enumerate(sampled):
            assert len(set(frames)) == 2
            seen[story, frames] += 1
    assert (abs(seen - 150) < 45).all()  # five standard deviations


def test_sampled_frames_are_different_ones_in_order_and_late_ones_more_often() -> None:
    seen, alone, rng = np.zeros(4), np.zeros(4), np.random.default_rng(0)
    for _ in range(100):
        sampled = sample_frames(10, 4, 2, rng)
        assert (np.diff(sampled, axis=1) > 0).all()
        seen += np.bincount(sampled.flatten(), minlength=4)
        alone += np.bincount(sample_frames(10, 4, 1, rng).flatten(), minlength=4)
    # t of 1 + 2 + 3 + 4 comes first; second comes u of what is left: for frame 1, 0.1 + sum of t/10 * 1/(10 - t)
    assert (abs(alone / 1000 - np.array([0.1, 0.2, 0.3, 0.4])) < 0.08).all()
    assert abs(seen[0] / 1000 - (0.1 + 0.2 / 8 + 0.3 / 7 + 0.4 / 6)) < 0.07
    assert (sample_frames(3, 4, 4, rng) == np.arange(4)).all()


def test_sampled_orders_leave_what_the_frames_show() -> None:
    every, rng = set(), np.random.default_rng(0)
    for _ in range(200):
        frame_idx = sample_frames(5, 4, 2, rng)
        for frames, order in zip(frame_idx, sample_orders(frame_idx, 4, rng), strict=True):
            assert sorted(order) == [0, 1, 2, 3]
            for t in frames:
                assert set(order[: t + 1]) == set(range(t + 1))
            every.add(tuple(order))
    all_orders = permutations(range(4))
    assert every == {order for order in all_orders if order[0] == 0 or order[3] == 3 or set(order[:2]) == {0, 1}}
    assert (sample_orders(np.tile(np.arange(4), (5, 1)), 4, rng) == np.arange(4)).all()


def test_to_images_spans_minus_one_to_one() -> None:
    images = to_images(np.array([0, 255, 127], dtype=np.uint8).reshape(1, 1, 1, 1, 3))
    assert images.shape == (1, 1, 3, 1, 1)
    torch.testing.assert_close(images.flatten(), torch.tensor([-1.0, 1.0, -1 / 255]))


def test_seeds_differ_for_all_that_is_random() -> None:
    seeds = [
        derive_seed(seed, stage, k, step) for seed in (0, 1) for stage in (0, 1) for k in (0, 1) for step in (0, 1)
    ]
    assert len(set(seeds)) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_batch_is_of_its_stories_and_frames(sample: Path) -> None:
    stage = StageConfig(batch_size=6, frames=2, disc_frames=1, G=G(loss={"mse": 1}))
    trainer = one_stage(sample, stage)
    dataset, batch = trainer.experiment.dataset, trainer.loader.load(3, WHOLE)
    assert batch.X.shape == (6, 2, 3, 64, 64)
    story_idx = batch.story_idx.numpy()
    assert np.array_equal(story_idx, indices(len(dataset), 6, 0, 0, 3))
    for b, n in enumerate(story_idx):
        frames = dataset.frames[n][batch.frame_idx[b].numpy()]
        assert torch.equal(batch.X[b], to_images(np.array(frames)[None])[0])
        assert torch.equal(batch.S[b], trainer.experiment.S[n])
    assert torch.equal(batch.select_frames(batch.X)[:, 0], batch.X[torch.arange(6), batch.disc_frame_idx[:, 0]])


def test_parts_of_a_batch_make_the_whole(sample: Path) -> None:
    stage = StageConfig(
        batch_size=6,
        frames=2,
        disc_frames=1,
        shuffle_sentences=True,
        foreground_weight=3.0,
        couple_nuisance=True,
        G=G(loss={"mse": 1}),
        C=AuxClassifierConfig(loss=AuxClassifierLoss(label=1, present=1, attributes=1, direction=1)),
    )
    trainer = one_stage(sample, stage)
    whole = trainer.loader.load(5, slice(0, 6))
    parts = [trainer.loader.load(5, slice(start, start + 2)) for start in (0, 2, 4)]

    def same(name: str) -> None:
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name

    for name in ("X", "S", "story_idx", "frame_idx", "disc_frame_idx", "pixel_weight", "order"):
        same(name)
    assert torch.equal(torch.cat([part.augmented[0] for part in parts]), whole.augmented[0])
    for name, value in vars(whole.augmented[1]).items():
        assert torch.equal(torch.cat([getattr(part.augmented[1], name) for part in parts]), value), name
    noise = trainer.loader.noise(whole, 5, slice(0, 6))
    shares = [trainer.loader.noise(p, 5, slice(n, n + 2)) for p, n in zip(parts, (0, 2, 4), strict=True)]
    for name, value in vars(noise).items():
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), value), name


def test_shuffled_sentences_keep_their_noise(sample: Path) -> None:
    """Sentence and noise move together: of each, the same permutation."""
    shuffled = StageConfig(batch_size=6, frames=1, shuffle_sentences=True, couple_nuisance=True, G=G(loss={"mse": 1}))
    trainer = one_stage(sample, shuffled)
    batch = trainer.loader.load(0, WHOLE)
    noise = trainer.loader.noise(batch, 0, WHOLE)
    batch.order, order = None, batch.order
    plain = trainer.loader.noise(batch, 0, WHOLE)
    assert (order != torch.arange(4)).any()
    for b in range(6):
        assert torch.equal(batch.S[b], trainer.experiment.S[batch.story_idx[b]][order[b]])
        assert torch.equal(noise.eps[b], plain.eps[b][order[b]])
    assert torch.equal(noise.eps_0, plain.eps_0)


@pytest.mark.parametrize("distribution", ["normal", "circle"])
def test_the_noise_is_coupled_to_the_nuisance_values(sample: Path, distribution: str) -> None:
    """Story by story the first values of eps_0 and eps_t are the data set's; on a circle a pair keeps its direction. A
    null keeps what was sampled, and so does everything else."""
    options = {"model": ModelConfig(noise_dim=6, noise=distribution)}  # type: ignore[arg-type]
    with_nuisance = one_stage(sample, StageConfig(batch_size=6, couple_nuisance=True, G=G(loss={"mse": 1})), **options)
    plain = one_stage(sample, StageConfig(batch_size=6, G=G(loss={"mse": 1})), **options)
    batch, dataset = with_nuisance.loader.load(0, WHOLE), with_nuisance.experiment.dataset
    noise, sampled = (trainer.loader.noise(batch, 0, WHOLE) for trainer in (with_nuisance, plain))
    assert dataset.story_nuisance is not None
    assert dataset.frame_nuisance is not None
    K = dataset.story_nuisance.shape[1]
    has_yaw = 0
    for b, n in enumerate(batch.story_idx.tolist()):
        assert np.array_equal(noise.eps_0[b, :K], dataset.story_nuisance[n])
        for t in range(4):
            pair = torch.from_numpy(dataset.frame_nuisance[n, t])
            expected = sampled.eps[b, t, :2] if pair.isnan().any() else pair
            if distribution == "circle":
                expected = 2**0.5 * expected / expected.norm()
            torch.testing.assert_close(noise.eps[b, t, :2], expected)
            has_yaw += not pair.isnan().any()
    assert 0 < has_yaw < 24
    assert torch.equal(noise.eps_0[:, K:], sampled.eps_0[:, K:])
    torch.testing.assert_close(noise.eps[..., 2:], sampled.eps[..., 2:])
    assert torch.equal(noise.g_0, sampled.g_0)


def test_a_stage_uses_the_stories_of_its_shards(tmp_path: Path, sample: Path) -> None:
    stories, nuisance = list(read_stories(sample, "train"))[:9], read_metadata(shard_paths(sample, "train")[0]).nuisance
    for shard in range(3):
        path = tmp_path / shard_name("train", shard, 3)
        write_shard(path, [s for n, s in enumerate(stories) if n // 3 == shard], LABELS, nuisance)
    assert len(shard_paths(tmp_path, "train")) == 3
    stage = StageConfig(batch_size=2, shards=[0, 2], G=G(loss={"mse": 1}))
    loader = one_stage(tmp_path, stage, data=DataConfig(str(tmp_path))).loader
    seen = {n for k in range(3 * loader.iterations_per_epoch) for n in loader.load(k, WHOLE).story_idx.tolist()}
    assert seen == {0, 1, 2, 6, 7, 8}
    assert loader.iterations_per_epoch == 3
    loader = one_stage(tmp_path, paper_stage(), data=DataConfig(str(tmp_path))).loader
    assert set(loader.stories.tolist()) == set(range(9))


def test_augmented_frames_keep_their_objects_where_they_are_said_to_be(sample: Path) -> None:
    """The shipped classifier reads augmented frames at the moved locations as well as plain ones."""
    dataset = open_split(sample, "train")
    content, C = LabelledFrames.from_dataset(dataset), AttributeClassifier.load(SHIPPED)
    story_idx, frame_idx = np.arange(24), np.full((24, 1), 3)
    X, targets = (
        to_images(dataset.batch(story_idx)[:, 3:]),
        content.targets(story_idx, frame_idx, np.random.default_rng(0)),
    )
    weights = AuxClassifierLoss(present=1, attributes=1)
    with torch.no_grad():
        plain = sum(classifier_terms(C, X.flatten(0, 1), targets, weights).values())
        moved, moved_targets = augment(X, targets, np.random.default_rng(1))
        augmented = sum(classifier_terms(C, moved.flatten(0, 1), moved_targets, weights).values())
        wrong = sum(classifier_terms(C, moved.flatten(0, 1), targets, weights).values())
    assert augmented < plain + 0.5
    assert wrong > augmented + 1
    mirrored = moved_targets.has_direction.sum() / targets.has_direction.sum()
    assert 0.2 < mirrored < 0.8  # a mirrored direction does not count
