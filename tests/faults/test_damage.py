"""Files cut short or with a flipped bit: whatever is read is either what was written or refused in one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.conftest import tiny_story
from tests.faults.conftest import assert_same_run
from tests.faults.processes import run
from tests.faults.tally import fault
from tests.run_folders import same

from storygan import seal
from storygan.config import ModelConfig
from storygan.data.dataset import open_split
from storygan.data.schema import read_metadata, read_shard, shard_name, write_shard
from storygan.errors import StoryganError
from storygan.models.model_folder import SHIPPED, shipped_models
from storygan.models.storygan import StoryGAN
from storygan.text import embedding_cache
from storygan.text.clevr import LABELS
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.embedding_cache import EmbeddingCache, Memory
from storygan.text.encoder import load_sentence_encoder
from storygan.training.checkpoint import checkpoint_paths, load_checkpoint, newest_checkpoint, save_checkpoint

FLIPS, CUTS = 150, 25
"""Random ones, of each kind of file."""


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit is another."""
    damaged, bit = bytearray(content), int(rng.integers(8 * len(content)))
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return content[: int(rng.integers(len(content)))]


def damage(path: Path, kind: str, read: Callable[[], object]) -> int:
    """Damage a file again and again; `read` must refuse it in one line or give what it gave. How often it refused."""
    content, wanted, refused, rng = path.read_bytes(), read(), 0, np.random.default_rng(0)
    for change, times, how in ((flipped, FLIPS, "with a flipped bit"), (cut, CUTS, "cut short")):
        for _ in range(times):
            with fault(f"{kind} {how}"):
                path.write_bytes(change(content, rng))
                try:
                    found, said = read(), "read"
                except StoryganError as error:
                    found, said, refused = wanted, str(error), refused + 1
                assert same(found, wanted)
                assert "\n" not in said
    path.write_bytes(content)
    return refused


def state(step: int) -> dict[str, object]:
    """What a checkpoint holds, of a small network: a stand-in that can be read hundreds of times."""
    torch.manual_seed(step)
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
    adam = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 8)).square().sum().backward()
    adam.step()
    parts = {"G": network.state_dict(), "G_adam": adam.state_dict()}
    progress = {"step": step, "stage": "only", "k": step, "data": "x", "seconds": 1.0, "best": None}
    return {**parts, **progress, "config": {"run": "runs/x"}}


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, state(3), keep=3)
    assert damage(path, "a checkpoint", lambda: load_checkpoint(path)) > 120


def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the iteration in their names, whatever the clock said when they were written."""
    rng = np.random.default_rng(1)
    paths = [save_checkpoint(tmp_path, step, state(step), keep=3) for step in (99_999_999, 100_000_000, 100_000_001)]
    with fault("the clock set back"):
        for age, path in enumerate(paths):
            os.utime(path, (1e9 - age, 1e9 - age))
        newest = newest_checkpoint(tmp_path)
        assert newest is not None
        assert newest["step"] == 100_000_001
    paths[-1].write_bytes(cut(paths[-1].read_bytes(), rng))
    with fault("a checkpoint damaged: the one before is used"):
        assert same(newest_checkpoint(tmp_path), state(100_000_000))
        told = capsys.readouterr().err
        assert f"{paths[-1]} cannot be read" in told
        assert "trying the one before" in told
        save_checkpoint(tmp_path, 100_000_000, state(100_000_000), keep=1)
        assert checkpoint_paths(tmp_path) == [paths[1]], "the damaged one does not crowd out a good one"
    paths[1].write_bytes(b"")
    with (
        fault("all checkpoints damaged: nothing begins anew unasked"),
        pytest.raises(StoryganError, match="none of the 1 checkpoints in"),
    ):
        newest_checkpoint(tmp_path)


@pytest.mark.slow
def test_a_run_whose_checkpoint_is_damaged(whole: Path, tmp_path: Path) -> None:
    """The real one, in each part of the zip: a header, the pickle, tensors, the directory at its end; and cut short."""
    path = Path(shutil.copy(checkpoint_paths(whole / "checkpoints")[-1], tmp_path))
    wanted, size, rng = load_checkpoint(path), path.stat().st_size, np.random.default_rng(0)
    tensors = [int(place) for place in rng.integers(size, size=6)]
    with path.open("r+b", buffering=0) as file:
        for place in (0, 200, *tensors, size - 22):  # of 22 bytes is the record that ends a zip
            with fault("a run's own checkpoint with a flipped bit"):
                file.seek(place)
                (byte,) = file.read(1)
                file.seek(place)
                file.write(bytes([byte ^ 1 << int(rng.integers(8))]))
                try:
                    found, said = load_checkpoint(path), "read"
                except StoryganError as error:
                    found, said = wanted, str(error)
                assert same(found, wanted)
                assert "\n" not in said
                assert said != "read" or place not in tensors
                file.seek(place)
                file.write(bytes([byte]))
    assert same(load_checkpoint(path), wanted)
    for length in sorted((int(length) for length in rng.integers(size, size=3)), reverse=True):
        os.truncate(path, length)
        with fault("a run's own checkpoint cut short"), pytest.raises(StoryganError, match="cannot be read"):
            load_checkpoint(path)


@pytest.mark.slow
def test_a_run_goes_on_from_before_its_damaged_checkpoint(whole: Path, tmp_path: Path) -> None:
    """Then it is the run that it would have been."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    newest = checkpoint_paths(folder / "checkpoints")[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    with fault("a checkpoint damaged: the one before is used"):
        code, said = run(["train", "--resume", str(folder)], tmp_path / "log")
        assert code == 0
        assert "does not fit its checksum; trying the one before" in said[0]
        assert_same_run(folder, whole)


def test_a_damaged_model(tmp_path: Path) -> None:
    """Its weights, one flip of each part of the file: reading ten megabytes takes its time."""
    StoryGAN(ModelConfig(T=1), ClevrEncoder.fit([])).save_pretrained(tmp_path)
    path, rng = tmp_path / "model.safetensors", np.random.default_rng(0)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for part in (slice(0, 8), slice(8, header), slice(header, None)):
        with fault("a model file with a flipped bit"):
            path.write_bytes(content[: part.start] + flipped(content[part], rng) + content[part.stop or len(content) :])
            with pytest.raises(StoryganError, match=r"the model in .* does not load"):
                StoryGAN.from_pretrained(tmp_path)
    with fault("a model file cut short"):
        path.write_bytes(cut(content, rng))
        with pytest.raises(StoryganError, match=r"the model in .* does not load"):
            StoryGAN.from_pretrained(tmp_path)


def test_a_damaged_sentence_encoder(tmp_path: Path) -> None:
    """The same format and checksum as the model's weights, in a file small enough for hundreds of tries."""
    ClevrEncoder.fit([]).save(tmp_path)
    path = tmp_path / "sentence_encoder.safetensors"
    refused = damage(
        path, "a model file", lambda: {k: v.tobytes() for k, v in load_sentence_encoder(tmp_path).tensors().items()}
    )
    assert refused > 0.95 * (FLIPS + CUTS)


def test_a_damaged_embedding_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A vector that is read is the one that was written; at most one line is said, and the run goes on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vectors = {f"sentence {n}": np.random.default_rng(n).normal(size=384).astype(np.float16) for n in range(9)}
    lost = []

    def embed() -> dict[str, bytes]:
        monkeypatch.setattr(embedding_cache, "MEMORY", Memory())  # as a process has it when it begins
        cache = EmbeddingCache("one")
        found = cache.get(list(vectors))
        missing = {text: vector for text, vector in vectors.items() if text not in found}
        cache.put(missing)
        found = missing | found | cache.get(list(missing))
        cache.close()
        lost.append(len(missing))
        assert len(capsys.readouterr().err.splitlines()) <= 1
        return {text: vector.tobytes() for text, vector in sorted(found.items())}

    embed()
    path = tmp_path / "storygan" / "embeddings.sqlite"
    assert damage(path, "the embedding cache", embed) == 0
    assert np.count_nonzero(lost[2:]) > 60, "half of the file is vectors"


@pytest.mark.parametrize("name", shipped_models())
def test_models_without_a_checksum_load(name: str, tmp_path: Path) -> None:
    """Those of older versions."""
    folder = shutil.copytree(SHIPPED / name, tmp_path / name)
    files = list(folder.glob("*.safetensors"))
    assert len(files) == 2
    for path in files:
        content = path.read_bytes()
        assert seal.KEY.encode() in content
        path.write_bytes(safetensors.torch.save(safetensors.torch.load(content)))
        assert seal.KEY.encode() not in path.read_bytes()
    one, two = StoryGAN.from_pretrained(folder), StoryGAN.from_pretrained(name)
    assert same(one.state_dict(), two.state_dict())
    story = ["large red rubber cube at (-1.8, 1.5)"] * one.config.T
    assert np.array_equal(one.encode([story]), two.encode([story]))


def test_a_damaged_shard(tmp_path: Path) -> None:
    """Its pages have checksums; of what is in the footer there are two copies."""
    path = tmp_path / shard_name("train", 0, 1)
    write_shard(path, [tiny_story(n, T=1) for n in range(4)], LABELS)
    refused = damage(path, "a Parquet shard", lambda: (read_metadata(path), list(map(vars, read_shard(path)))))
    assert refused > 0.6 * (FLIPS + CUTS)


def test_a_damaged_memory_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is rebuilt, with a message."""
    write_shard(tmp_path / shard_name("train", 0, 1), [tiny_story(n, T=1) for n in range(3)], LABELS)
    wanted, rng = np.array(open_split(tmp_path, "train").frames), np.random.default_rng(0)
    (path,) = (tmp_path / ".cache").glob("*.npy")
    content = path.read_bytes()
    for change, times, how in ((flipped, 40, "with a flipped bit"), (cut, 20, "cut short")):
        for _ in range(times):
            with fault(f"a memory map {how}"):
                path.write_bytes(damaged := change(content, rng))
                assert np.array_equal(open_split(tmp_path, "train").frames, wanted)
                again = path.read_bytes()
                assert again in (content, damaged)  # damaged: only the padding of numpy's header is
                assert ("is rebuilt" in capsys.readouterr().err) == (again != damaged)


def test_a_memory_map_of_an_older_version_is_made_again(tmp_path: Path) -> None:
    """It has no checksums."""
    write_shard(tmp_path / shard_name("train", 0, 1), [tiny_story(n, T=1) for n in range(3)], LABELS)
    wanted = np.array(open_split(tmp_path, "train").frames)
    (path,) = (tmp_path / ".cache").glob("*.npy")
    content = path.read_bytes()
    path.write_bytes(content[: -4 * 3])
    assert np.array_equal(open_split(tmp_path, "train").frames, wanted)
    assert path.read_bytes() == content
