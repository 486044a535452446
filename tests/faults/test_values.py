"""NaN and Inf, changed data sets, too little memory, a clock set back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import tiny_story
from tests.faults.conftest import assert_same_run
from tests.faults.processes import Command, run
from tests.tiny_clevr_sv import main as write_tiny_clevr_sv
from tests.tiny_run import new_run, one_stage

from storygan.data.dataset import open_split
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.data.schema import read_stories, shard_name, write_shard
from storygan.text.clevr import LABELS
from storygan.training.checkpoint import checkpoint_paths


@pytest.mark.parametrize("value", ["nan", "inf", "1e999"])
def test_nan_in_a_sentence(tmp_path: Path, value: str) -> None:
    stories = [
        replace(tiny_story(1, T=1), sentences=[f"small red metal cube at ({value}, 0)"]),
        *(tiny_story(n, T=1) for n in range(2, 5)),
    ]
    write_shard(tmp_path / "data" / shard_name("train", 0, 1), stories, LABELS)
    code, output = run(new_run(tmp_path / "data", tmp_path / "run"), tmp_path / "log")
    assert (code, len(output)) == (2, 1), output
    assert value in output[0]
    assert not (tmp_path / "run").exists()


def test_nan_in_an_imported_description(tmp_path: Path) -> None:
    root = tmp_path / "original"
    write_tiny_clevr_sv(root)
    vectors = np.load(root / "CLEVR_dict.npy", allow_pickle=True).item()
    vectors["CLEVR_new_000000_1.png"][15] = np.nan
    vectors["CLEVR_new_000001_2.png"][18 + 16] = np.inf
    np.save(root / "CLEVR_dict.npy", np.array(vectors, dtype=object), allow_pickle=True)
    summary = import_clevr_sv(root, tmp_path / "out", train_below=10)
    assert "stories with an invalid description" in str(summary)
    assert len(list(read_stories(tmp_path / "out", "train"))) == 1


def test_nan_in_a_loss_or_weight(data: Path, tmp_path: Path) -> None:
    """Huge learning rates: no checkpoint with non-finite weights is written."""
    for rate, words in ((1e38, "at iteration 2: training stops"), (1e39, "is not finite after iteration 1")):
        folder = tmp_path / str(rate)
        arguments = new_run(data, folder, checkpoint_every=1 if rate == 1e39 else 2, **one_stage(lr=rate))
        code, output = run(arguments, tmp_path / "log")
        assert (code, len(output)) == (1, 1), output
        assert words in output[0]
        assert not checkpoint_paths(folder / "checkpoints")


def swap_shard(data: Path) -> None:
    """Write other stories under the same name."""
    write_shard(data / shard_name("train", 0, 1), [tiny_story(n + 9, T=1) for n in range(4)], LABELS)


def assert_refused(folder: Path, *options: str) -> None:
    """Check that the run is not resumed on other stories, and stays unchanged."""
    before = sorted(path.name for path in folder.rglob("*"))
    code, output = run(
        ["train", "--resume", str(folder), "--stages.adversarial.iterations=4", *options], folder.with_name("log")
    )
    assert (code, len(output)) == (2, 1), output
    assert "are not those that" in output[0]
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_data_set_that_changed(data: Path, whole: Path, tmp_path: Path) -> None:
    """In another folder, and in the run's own."""
    own = shutil.copytree(data, tmp_path / "own")
    run_of_own = shutil.copytree(whole, tmp_path / "run-of-own")
    config = (run_of_own / "config.yaml").read_text()
    assert str(data) in config
    (run_of_own / "config.yaml").write_text(config.replace(str(data), str(own)))
    swap_shard(own)
    folder = shutil.copytree(whole, tmp_path / "run")
    assert_refused(folder, f"--data.path={own}")
    assert_refused(run_of_own)


def test_a_data_set_that_changes_during_a_run(data: Path, whole: Path, tmp_path: Path) -> None:
    """A run reads its shards once and finishes on the stories that it started with.

    Another process opens the new stories meanwhile, which removes the old memory map.
    """
    own, folder = shutil.copytree(data, tmp_path / "own"), tmp_path / "run"
    training = Command(new_run(own, folder), tmp_path / "training", pause_at=3)
    training.wait_until_paused()
    (old,) = (own / ".cache").glob("*.npy")
    swap_shard(own)
    open_split(own, "train")
    assert not old.exists()
    training.resume()
    assert training.end() == 0, training.output()
    assert_same_run(folder, whole)
    assert_refused(folder)


def test_a_clock_set_back(whole: Path, tmp_path: Path) -> None:
    """A run resumes from a checkpoint whose file is two years newer than the clock."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    checkpoint_paths(folder / "checkpoints")[-1].unlink()
    code, output = run(["train", "--resume", str(folder)], tmp_path / "log", years_back=2)
    assert code == 0, output
    assert_same_run(folder, whole)


def test_no_memory(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    """A batch of about two gigabytes, in a process limited to half a gigabyte more."""
    data, folder = make_dataset(stories=64), tmp_path / "run"
    arguments = new_run(data, folder, **{"model.T": 4}, **one_stage(batch_size=64))
    code, output = run(arguments, tmp_path / "log", memory=500_000_000)
    assert (code, len(output)) == (1, 1), output
    assert output[0] == "storygan: out of memory: lower batch_size, it is 64; the checkpoints stay"


def test_no_memory_to_generate(tmp_path: Path) -> None:
    """PyTorch's own error, for a batch of 64 stories."""
    sentences = ["small red metal cube at (0, 0)"] * 4
    arguments = ["generate", *sentences, "--samples=64", "--threads=1", f"--out={tmp_path / 'story.png'}"]
    code, output = run(arguments, tmp_path / "log", memory=120_000_000)
    assert (code, output) == (1, ["storygan: out of memory: lower the batch size or the number of samples"])
    assert not (tmp_path / "story.png").exists()
