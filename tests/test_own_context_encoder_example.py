"""The example that replaces a part of the model: it trains, and its model folder loads there alone."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from storygan.cli import main
from storygan.models.baselines import CONTEXTS
from storygan.models.context_encoder import ContextEncoder

EXAMPLE = Path(__file__).parents[1] / "examples/own_context_encoder.py"
STORY = "large red rubber cube at (-1.8, 1.5)"
CONFIG = """
run: {run}
data: {{path: {data}}}
model: {{T: 4, noise_dim: 10}}
stages: {{reconstruction: {{iterations: 1, batch_size: 2, G: {{loss: {{mse: 1.0}}}}}}}}
threads: 1
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the example; return its exit code."""
    with monkeypatch.context() as patch:
        patch.setitem(CONTEXTS, "storygan", ContextEncoder)  # again at the end of the block
        patch.setattr("sys.argv", list(map(str, (EXAMPLE, *arguments))))
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert isinstance(end.value.code, int)
    return end.value.code


def test_commands_with_an_own_part(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "config.yaml", tmp_path / "story.png"
    config.write_text(CONFIG.format(run=tmp_path / "run", data=tiny_dataset))
    assert run(monkeypatch, "train", config) == 0
    model = tmp_path / "run/model"
    assert load_file(model / "model.safetensors")["context_encoder.layer.0.weight"].shape == (2048, 128)
    generate = ["generate", STORY, "--model", str(model), "--out", str(out)]
    capsys.readouterr()
    assert main(generate) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not out.exists()
    assert run(monkeypatch, *generate) == 0
    assert out.exists()


def test_the_gist_reads_every_16th_position() -> None:
    encoder = runpy.run_path(str(EXAMPLE))["StridedContextEncoder"](10).eval()
    S, eps, h_0, g_0 = torch.randn(2, 4, 128), torch.randn(2, 4, 10), torch.randn(2, 128), torch.randn(2, 128)
    with torch.no_grad():
        whole = ContextEncoder.forward(encoder, S, eps, h_0, g_0)[1, 2]  # (128, 4, 4)
        values = whole.flatten(1)[[0, 16, 32, 48, 64, 80, 96, 112]].flatten()
        torch.testing.assert_close(encoder(S, eps, h_0, g_0)[1, 2], encoder.layer(values[None])[0])
