"""The networks of a stage are accelerated, and trained in bf16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from tests.training.tiny import D_I, G, one_stage, paper_stage, tiny_config

from storygan.data.sample import write_sample
from storygan.training.loggers import read_metrics
from storygan.training.loop import iteration, train


def test_the_networks_of_a_stage_are_accelerated(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    nets = one_stage(tmp_path / "sample", paper_stage(batch_size=2)).nets
    kinds = {name: {type(module).__name__ for module in network.modules()} for name, network in nets.each().items()}
    assert "UpsampleConv2d" in kinds["G"]
    assert {"SharedJoinDiscriminator", "FastConv2d"} <= kinds["D_I"]
    assert "FastConv2d" in kinds["D_S"]


@pytest.mark.slow  # where the processor emulates bf16
def test_losses_of_an_iteration_in_bf16_are_those_in_fp32(tmp_path: Path) -> None:
    """With R1 and R2, which differentiate twice, and the balanced gradients of the generator."""
    write_sample(tmp_path / "sample")
    stage = paper_stage(
        batch_size=2,
        gan_loss="relativistic",
        D_I=D_I(loss={"L_image": 1, "r1": 1, "r2": 1}),
        G=G(loss={"L_image": 1, "mse": 1}, adversarial_ratio=1.0),
        D_S=None,
    )
    found = {}
    for precision in ("fp32", "bf16"):
        trainer = one_stage(tmp_path / "sample", stage, precision=precision)
        found[precision] = {name: float(value) for name, value in iteration(trainer).items()}
        assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
    assert found["bf16"] != found["fp32"]
    assert found["bf16"] == pytest.approx(found["fp32"], rel=0.1, abs=0.01)


@pytest.mark.slow  # likewise
def test_a_run_stores_and_resumes_the_precision_that_auto_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample(tmp_path / "sample")
    stages = {"reconstruction": paper_stage(iterations=2, D_I=None, D_S=None, G=G(loss={"mse": 1}))}
    runs = []
    for name, until in (("whole", None), ("resumed", 1)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
        config = tiny_config(tmp_path / "sample", tmp_path / name, stages=stages, precision="auto")
        train(config, until=until)
        stored = yaml.safe_load((tmp_path / name / "config.yaml").read_text())
        assert stored["precision"] == "bf16"
        if until:
            monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)  # a processor without bf16
            train(type(config).from_dict(stored), resume=True)
        runs.append([line["G/mse"] for line in read_metrics(tmp_path / name / "metrics.jsonl")])
    assert runs[0] == runs[1]
