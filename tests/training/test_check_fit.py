"""A configuration that does not fit the data set is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.training.tiny import G, paper_stage, tiny_config

from storygan.config import DataConfig, ModelConfig, TrainConfig
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.errors import UsageError
from storygan.training.check_fit import check_fit

REFUSED = {
    "frames is 3": {"frames": 3},
    "disc_frames is 2: it must be from 0 to 1": {"frames": 1, "disc_frames": 2, "D_S": None},
    "D_S needs all 2 frames": {"frames": 1},
    "shuffle_sentences needs frames from 1 to 1": {"shuffle_sentences": True},
    "set discriminator.label_head true": {"G": G(loss={"label": 1})},
    "no column `foreground` .*add-nuisance .*data": {"foreground_weight": 8.0},
    "no nuisance columns .*add-nuisance .*data": {"couple_nuisance": True},
    "shards names 1, but .* has shards 0 to 0": {"shards": [0, 1]},
    "batch_size is 9, but .* has 8 stories": {"batch_size": 9},
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_stage_that_does_not_fit_the_data_is_refused(data: Path, message: str) -> None:
    stages = {"one": paper_stage(**REFUSED[message])}
    config = TrainConfig(data=DataConfig("data"), model=ModelConfig(T=2), stages=stages)
    with pytest.raises(UsageError, match=rf"stages\.one.*{message}"):
        check_fit(config, open_split(data, "train"))


def test_more_nuisance_values_than_the_noise_has_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    dataset = open_split(tmp_path / "sample", "train")
    config = TrainConfig(stages={"one": paper_stage(couple_nuisance=True)}, model=ModelConfig(noise_dim=1))
    with pytest.raises(UsageError, match="2 values for eps_t, which has 1"):
        check_fit(config, dataset)
    check_fit(replace(config, model=ModelConfig(noise_dim=2)), dataset)


def test_a_label_head_needs_labels(data: Path, tmp_path: Path) -> None:
    unlabelled = replace(open_split(data, "train"), labels=None, label_names=None)
    with pytest.raises(UsageError, match="label_head is on, but"):
        check_fit(tiny_config(data, tmp_path, model=ModelConfig(T=2)), unlabelled)
