"""The benchmarks still fit the package: run once, at minimal size. Times are not checked.

Not run: `generate_onnx.py`, `editing.py`, `page.py`, `sentence_encoder.py`, `speed.py --against`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from storygan.data.sample import write_sample

ROOT = Path(__file__).parents[1]
SECONDS = 1000
"""For what takes a minute on an idle machine: another test runs beside it."""
pytestmark = pytest.mark.timeout(SECONDS + 100)


@pytest.mark.slow
@pytest.mark.parametrize(("row", "gflop"), [("part_update_D_I", 67.8), ("reconstruction_iteration", None)])
def test_speed_of_a_row(row: str, gflop: float | None) -> None:
    command = [sys.executable, ROOT / "benchmarks/speed.py", "--only", row, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert list(rows) == [row]
    assert gflop is None or rows[row]["gflop"] == pytest.approx(gflop, abs=0.1)
    assert rows[row]["median_s"] > 0


@pytest.mark.slow
def test_scaling_with_T() -> None:
    command = [sys.executable, ROOT / "benchmarks/scaling.py", "--only", "T", "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [int(row[1]) for row in rows] == [2, 4]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_soak_of_a_moment() -> None:
    """It exits with 1 where a run that was killed differs from the undisturbed one."""
    command = [sys.executable, ROOT / "benchmarks/soak.py", "--minutes", "0.4", "--every", "4", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1400)
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["kills"] >= 1
    assert row["resumes"] >= 1
    assert row["runs that ended"] >= 1
    assert row["runs that differ"] == 0
    assert 100 < row["undisturbed, peak early, MB"] <= row["undisturbed, peak late, MB"] < 3000


@pytest.mark.slow
def test_every_convolution_once() -> None:
    command = [sys.executable, ROOT / "benchmarks/convolutions.py", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    rows = done.stdout.splitlines()[2:]
    taken = [row.split("|")[1].split(",")[0].strip() for row in rows if "(" not in row]
    assert taken == ["trunk", "trunk", "conditional", "generator", "generator"]


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
