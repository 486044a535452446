"""The networks of a stage are accelerated."""

from __future__ import annotations

from pathlib import Path

from tests.training.tiny import one_stage, paper_stage

from storygan.data.sample import write_sample


def test_the_networks_of_a_stage_are_accelerated(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    nets = one_stage(tmp_path / "sample", paper_stage(batch_size=2)).nets
    kinds = {name: {type(module).__name__ for module in network.modules()} for name, network in nets.each().items()}
    assert "UpsampleConv2d" in kinds["G"]
    assert {"SharedJoinDiscriminator", "FastConv2d"} <= kinds["D_I"]
    assert "FastConv2d" in kinds["D_S"]
