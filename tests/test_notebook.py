"""The notebook in examples/ runs from the first cell to the last, and stores no outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = json.loads((Path(__file__).parents[1] / "examples/storygan.ipynb").read_text())
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_no_outputs_are_stored() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"]] == []
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "\n".join(CODE)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    *_, trained, shipped = done.stdout.splitlines()
    assert trained.split()[0].endswith("/run/model")
    assert shipped.startswith("clevr-sv ")
    assert (tmp_path / "story.gif").exists()
