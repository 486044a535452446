"""The CLEVR-SV renderer, with a stand-in for Blender, and with Blender (slow) where it is installed."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.data import render_config
from storygan.data.clevr import blender, render
from storygan.data.clevr.blender import Blender
from storygan.data.clevr.nuisance import COLUMNS, nuisance_fields
from storygan.data.clevr.render import merge_clevr, noise_seed, render_clevr
from storygan.data.clevr.scene import Scene, sample_scene
from storygan.data.render_config import locked_job
from storygan.data.schema import read_metadata, read_stories
from storygan.errors import StoryganError, UsageError
from storygan.text.clevr import ClevrObject, format_sentence, presence_labels


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Blender, and shards of 4 stories."""
    monkeypatch.setenv(blender.VARIABLE, sys.executable)
    monkeypatch.setattr(blender, "SCRIPT", Path(__file__).with_name("fake_worker.py"))
    monkeypatch.setattr(render_config, "STORIES_PER_SHARD", 4)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".parquet"}


def done(out: Path, per_shard: int) -> int:
    """Return the number of stories on disk: those in shards, and strips for other shards."""
    shards = contents(out)
    strips = [strip for strip in (out / ".partial").rglob("[0-9]*.png") if strip.parent.name not in shards]
    return per_shard * len(shards) + len(strips)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(FileNotFoundError):  # `out`, or strips that went into a shard meanwhile
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError("timeout")


@pytest.mark.usefixtures("fake")
def test_folder_has_the_stories_and_a_card(tmp_path: Path) -> None:
    summary = render_clevr(tmp_path, train=6, test=2, seed=3, T=3, size=16)
    assert (summary.rendered, summary.existing) == (8, 0)
    stories = list(read_stories(tmp_path, "train"))
    assert [s.story_id for s in stories] == [f"clevr-3-{k:08d}" for k in range(6)]
    scene = sample_scene(3, 1, 3)
    columns = nuisance_fields(scene, 3, 1, 16)
    assert stories[1].sentences == [format_sentence(thing) for thing in scene.objects]
    assert stories[1].labels == presence_labels(scene.objects)
    assert {name: getattr(stories[1], name) for name in columns} == columns
    metadata = read_metadata(tmp_path / "train-00000-of-00002.parquet")
    assert (metadata.nuisance, metadata.aspect_ratio) == (COLUMNS, ASPECT)
    with Blender(16) as worker:
        frames = worker.render(scene, noise_seed(3, 1))
    assert np.array_equal(np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in stories[1].frames]), frames)
    assert len(list(read_stories(tmp_path, "test"))) == 2
    card = (tmp_path / "README.md").read_text()
    assert "pretty_name" in card
    assert "`aspect_ratio`, 4/3" in card
    assert not (tmp_path / ".partial").exists()


@pytest.mark.usefixtures("fake")
def test_process_is_replaced_after_some_stories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blender, "STORIES_PER_PROCESS", 2)
    scenes = [sample_scene(0, number) for number in range(5)]
    pids, frames = set(), []
    with Blender(16) as worker:
        for scene in scenes:
            frames.append(worker.render(scene))
            pids.add(worker.pid)
    assert len(pids) == 3
    with Blender(16) as another:
        assert np.array_equal(another.render(scenes[4]), frames[4])


@pytest.mark.usefixtures("fake")
def test_two_processes_do_not_render_the_same_shards(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    with FileLock(tmp_path / ".partial/1-of-2.lock"), pytest.raises(StoryganError, match="in use by another process"):
        render_clevr(tmp_path, train=2, size=16, shard=(1, 2))
    with locked_job(tmp_path, 2, 3), pytest.raises(StoryganError, match="in use by another process"):
        render_clevr(tmp_path, train=2, size=16, shard=(1, 2))
    with locked_job(tmp_path, 2, 2):
        assert render_clevr(tmp_path, train=2, size=16, shard=(1, 2)).rendered == 2


@pytest.mark.usefixtures("fake")
def test_load_dataset_opens_the_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    render_clevr(tmp_path / "d", train=5, validation=1, test=1, size=16)
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 5, "validation": 1, "test": 1}
    assert loaded["train"][0]["frames"][3].size == (16, 16)


@pytest.mark.usefixtures("fake")
def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    render_clevr(tmp_path / "one", train=9, size=16, workers=1)
    render_clevr(tmp_path / "three", train=9, size=16, workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


@pytest.mark.usefixtures("fake")
def test_killed_run_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    program = (
        "from pathlib import Path; from storygan.data import render_config\n"
        "from storygan.data.clevr import blender, render\n"
        f"blender.SCRIPT = Path({str(blender.SCRIPT)!r}); render_config.STORIES_PER_SHARD = 4\n"
        f"render.render_clevr({str(out)!r}, train=60, size=16, workers=2)"
    )
    environment = {**os.environ, "FAKE_WORKER_SECONDS": "0.2"}
    run = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: contents(out) and done(out, per_shard=4) > 4)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = done(out, per_shard=4)
    assert 4 < before < 60
    summary = render_clevr(out, train=60, size=16, workers=2)
    assert (summary.rendered, summary.existing) == (60 - before, before)
    render_clevr(tmp_path / "whole", train=60, size=16, workers=2)
    assert contents(out) == contents(tmp_path / "whole")
    assert render_clevr(out, train=60, size=16).rendered == 0


@pytest.mark.usefixtures("fake")
def test_damaged_strip_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(render, "_write_if_complete", lambda *_: None)
        patch.setattr(render, "_finish", lambda *_: None)
        render_clevr(tmp_path, train=2, size=16)
    strip = next((tmp_path / ".partial").rglob("00000001.png"))
    strip.write_bytes(strip.read_bytes()[:50])
    with pytest.raises(StoryganError, match=r"00000001\.png cannot be read .*: delete it and render again"):
        render_clevr(tmp_path, train=2, size=16)
    strip.unlink()
    os.mkfifo(strip)
    with pytest.raises(StoryganError, match="is not a regular file"):
        render_clevr(tmp_path, train=2, size=16)
    strip.unlink()
    assert render_clevr(tmp_path, train=2, size=16).rendered == 1


@pytest.mark.usefixtures("fake")
def test_shards_of_three_jobs_merge_to_the_same_folder(tmp_path: Path) -> None:
    render_clevr(tmp_path / "whole", train=10, test=3, size=16)
    parts = [tmp_path / f"part{i}" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        render_clevr(part, train=10, test=3, size=16, shard=(i, 3))
        assert not (part / "README.md").exists()
    with pytest.raises(StoryganError, match="lacks"):
        merge_clevr(tmp_path / "merged", parts[:2])
    merge_clevr(tmp_path / "merged", parts)
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")
    assert (tmp_path / "merged" / "README.md").read_text() == (tmp_path / "whole" / "README.md").read_text()


@pytest.mark.usefixtures("fake")
def test_merge_refuses_a_shard_with_other_stories(tmp_path: Path) -> None:
    render_clevr(tmp_path, train=8, size=16)
    one, two = sorted(tmp_path.glob("*.parquet"))
    one.write_bytes(two.read_bytes())
    with pytest.raises(StoryganError, match="holds other stories"):
        merge_clevr(tmp_path)


@pytest.mark.usefixtures("fake")
def test_folder_has_one_configuration(tmp_path: Path) -> None:
    render_clevr(tmp_path, train=2, size=16)
    with pytest.raises(StoryganError, match="was started with seed 0, not 1"):
        render_clevr(tmp_path, train=2, size=16, seed=1)


@pytest.mark.usefixtures("fake")
def test_folder_of_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-00000-of-00001.parquet").touch()
    with pytest.raises(StoryganError, match="did not write"):
        render_clevr(tmp_path, train=2)


@pytest.mark.usefixtures("fake")
def test_crash_of_a_worker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WORKER_EXITS", str(sample_scene(0, 5).objects[0].x))
    with pytest.raises(StoryganError, match="exit code 1: out of memory"):
        render_clevr(tmp_path, train=12, size=16, workers=2)


def test_missing_render_environment_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.VARIABLE, str(tmp_path / "python"))
    with pytest.raises(StoryganError, match="does not exist"):
        render_clevr(tmp_path / "out", train=1)
    monkeypatch.delenv(blender.VARIABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blender, "__file__", str(tmp_path / "a" / "b" / "c" / "d" / "e" / "blender.py"))
    with pytest.raises(StoryganError, match="make render-env"):
        render_clevr(tmp_path / "out", train=1)
    monkeypatch.setenv(blender.VARIABLE, sys.executable)
    with pytest.raises(StoryganError, match="has no bpy: run `make render-env`"):
        render_clevr(tmp_path / "out", train=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "positive number"),
        ({"train": -1, "test": 3}, "positive number"),
        ({"train": 1, "T": 7}, "1 to 6"),
        ({"train": 1, "size": 4}, "16 to 512"),
        ({"train": 1, "shard": (0, 4)}, "must be from 1"),
        ({"train": 1, "shard": (5, 4)}, "must be from 1"),
    ],
)
def test_invalid_arguments_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        render_clevr(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


# --- Blender itself -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_blender_renders_the_same_bytes_with_one_and_two_workers(tmp_path: Path) -> None:
    render_clevr(tmp_path / "one", train=4, workers=1)
    render_clevr(tmp_path / "two", train=4, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_killed_blender_run_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    program = f"from storygan.data.clevr import render; render.render_clevr({str(out)!r}, train=12, workers=2)"
    run = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    wait_for(lambda: done(out, per_shard=12) >= 2, 200)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = done(out, per_shard=12)
    assert 2 <= before < 12
    summary = render_clevr(out, train=12, workers=2)
    assert (summary.rendered, summary.existing) == (12 - before, before)
    render_clevr(tmp_path / "whole", train=12, workers=2)
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_six_frames_of_128_pixels() -> None:
    scene = sample_scene(0, 0, 6)
    with Blender(128) as worker:
        frames = worker.render(scene)
    assert frames.shape == (6, 128, 128, 3)
    mask = scene.mask()[:, :]
    for k in range(6):  # the object that a frame adds changes its pixels
        rows, columns = np.nonzero(mask == k)
        before = frames[k - 1] if k else frames[5] * 0
        change = np.abs(frames[k].astype(int) - before)[rows * 128 // 240, columns * 128 // 320]
        assert np.median(change.max(-1)) > 12


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_rendered_objects_match_the_camera_geometry() -> None:
    things = tuple(ClevrObject("sphere", "red", "rubber", "small", x, y) for x, y in ((-2, -2), (2, 2), (0, 0)))
    scene = Scene(things, (0.0,) * 3, camera=(0.4, -0.3, 0.2))
    with Blender(128) as worker:
        last = worker.render(scene)[-1].astype(int)
    red = last[..., 0] - last[..., 1] > 20
    ideal = np.asarray(Image.fromarray(((scene.mask() >= 0) * 255).astype(np.uint8)).resize((128, 128))) > 127
    assert (red & ideal).sum() > 0.85 * max(red.sum(), ideal.sum())


def test_a_python_of_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / ".render-venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(blender.VARIABLE, raising=False)
    with contextlib.suppress(StoryganError):  # there is none, or another one
        assert blender.render_python() != python
