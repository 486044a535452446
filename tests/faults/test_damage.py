"""Files that are truncated or have a flipped bit: a reader returns what was written, or raises a one-line error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import tiny_story
from tests.run_folders import same

from storygan.config import ModelConfig
from storygan.data.dataset import open_split
from storygan.data.schema import read_metadata, read_shard, shard_name, write_shard
from storygan.errors import StoryganError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import LABELS
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import load_sentence_encoder
from storygan.training.checkpoint import checkpoint_paths, load_checkpoint, newest_checkpoint, save_checkpoint

FLIPS, CUTS = 150, 25
"""Random flips and truncations of each kind of file."""


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip one bit."""
    damaged, bit = bytearray(content), int(rng.integers(8 * len(content)))
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """Truncate at a random byte."""
    return content[: int(rng.integers(len(content)))]


def damage(path: Path, read: Callable[[], object]) -> int:
    """Damage a file repeatedly; `read` must return what it returned before or raise a one-line error.

    Returns:
        The number of errors.
    """
    content, wanted, refused, rng = path.read_bytes(), read(), 0, np.random.default_rng(0)
    for change, times in ((flipped, FLIPS), (cut, CUTS)):
        for _ in range(times):
            path.write_bytes(change(content, rng))
            try:
                found, output = read(), "read"
            except StoryganError as error:
                found, output, refused = wanted, str(error), refused + 1
            assert same(found, wanted)
            assert "\n" not in output
    path.write_bytes(content)
    return refused


def state(step: int) -> dict[str, object]:
    """Return a checkpoint of a small network, which can be read hundreds of times."""
    torch.manual_seed(step)
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
    adam = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 8)).square().sum().backward()
    adam.step()
    parts = {"G": network.state_dict(), "G_adam": adam.state_dict()}
    progress = {"step": step, "stage": "only", "k": step, "data": "x", "seconds": 1.0, "best": None, "penalties": {}}
    return {**parts, **progress, "config": {"run": "runs/x"}}


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, state(3), keep=3)
    assert damage(path, lambda: load_checkpoint(path)) > 120


def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The iteration in the file name says which is newest, whatever the clock was."""
    rng = np.random.default_rng(1)
    paths = [save_checkpoint(tmp_path, step, state(step), keep=3) for step in (99_999_999, 100_000_000, 100_000_001)]
    for age, path in enumerate(paths):
        os.utime(path, (1e9 - age, 1e9 - age))
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest["step"] == 100_000_001
    paths[-1].write_bytes(cut(paths[-1].read_bytes(), rng))
    assert same(newest_checkpoint(tmp_path), state(100_000_000))
    assert f"{paths[-1]} cannot be read" in caplog.text
    assert "trying the one before" in caplog.text
    save_checkpoint(tmp_path, 100_000_000, state(100_000_000), keep=1)
    assert checkpoint_paths(tmp_path) == [paths[1]], "a damaged checkpoint does not replace a good one"
    paths[1].write_bytes(b"")
    with pytest.raises(StoryganError, match="none of the 1 checkpoints in"):
        newest_checkpoint(tmp_path)


def test_a_damaged_model(tmp_path: Path) -> None:
    """safetensors checks the header, and that all values are there; the values themselves have no checksum."""
    StoryGAN(ModelConfig(T=1), ClevrEncoder.fit([])).save_pretrained(tmp_path)
    path, rng = tmp_path / "model.safetensors", np.random.default_rng(0)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for part in (slice(0, 8), slice(8, header)):
        path.write_bytes(content[: part.start] + flipped(content[part], rng) + content[part.stop :])
        with pytest.raises(StoryganError, match=r"the model in .* cannot be loaded"):
            StoryGAN.from_pretrained(tmp_path)
    path.write_bytes(cut(content, rng))
    with pytest.raises(StoryganError, match=r"the model in .* cannot be loaded"):
        StoryGAN.from_pretrained(tmp_path)
    path.write_bytes(cut(content, rng))
    with pytest.raises(StoryganError, match=r"the model in .* cannot be loaded"):
        StoryGAN.from_pretrained(tmp_path)


def test_a_sentence_encoder_cut_short(tmp_path: Path) -> None:
    ClevrEncoder.fit([]).save(tmp_path)
    path, rng = tmp_path / "sentence_encoder.safetensors", np.random.default_rng(0)
    content = path.read_bytes()
    for _ in range(CUTS):
        path.write_bytes(cut(content, rng))
        with pytest.raises(StoryganError, match="cannot be read"):
            load_sentence_encoder(tmp_path)


def test_a_damaged_shard(tmp_path: Path) -> None:
    """Pages have checksums; the footer holds our metadata twice."""
    path = tmp_path / shard_name("train", 0, 1)
    write_shard(path, [tiny_story(n, T=1) for n in range(4)], LABELS)
    refused = damage(path, lambda: (read_metadata(path), [vars(story) for story in read_shard(path)]))
    assert refused > 0.6 * (FLIPS + CUTS)


def test_a_damaged_memory_map(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is rebuilt, with a message."""
    write_shard(tmp_path / shard_name("train", 0, 1), [tiny_story(n, T=1) for n in range(3)], LABELS)
    wanted, rng = np.array(open_split(tmp_path, "train").frames), np.random.default_rng(0)
    (path,) = (tmp_path / ".cache").glob("*.npy")
    content = path.read_bytes()
    for change, times in ((flipped, 40), (cut, 20)):
        for _ in range(times):
            path.write_bytes(damaged := change(content, rng))
            assert np.array_equal(open_split(tmp_path, "train").frames, wanted)
            again = path.read_bytes()
            assert again in (content, damaged)  # a flip in the padding of numpy's header is harmless
            assert ("is rebuilt" in caplog.text) == (again != damaged)
            caplog.clear()


def test_a_memory_map_of_an_older_version_is_rebuilt(tmp_path: Path) -> None:
    """It has no checksums."""
    write_shard(tmp_path / shard_name("train", 0, 1), [tiny_story(n, T=1) for n in range(3)], LABELS)
    wanted = np.array(open_split(tmp_path, "train").frames)
    (path,) = (tmp_path / ".cache").glob("*.npy")
    content = path.read_bytes()
    path.write_bytes(content[: -4 * 3])
    assert np.array_equal(open_split(tmp_path, "train").frames, wanted)
    assert path.read_bytes() == content
