"""The configuration, and the YAML files that ship."""

from pathlib import Path

import pytest
import yaml

from storygan.config import ModelConfig, TrainConfig
from storygan.types import UsageError

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_round_trips(path: Path) -> None:
    config = TrainConfig.from_dict(yaml.safe_load(path.read_text()))
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_the_papers_configuration_has_no_option_on() -> None:
    config = TrainConfig.from_dict(yaml.safe_load((CONFIGS[0].parent / "paper.yaml").read_text()))
    assert (config.loss.alpha, config.loss.beta, config.loss.kl, config.loss.saturating) == (1, 1, 1, True)
    assert not any((config.loss.mismatched, config.loss.squared_error, config.loss.r1, config.warm_up.iterations))
    assert not any((config.discriminator.spectral_norm, config.discriminator.label_head, config.ema))
    adam = config.adam
    assert (adam.lr_generator, adam.lr_discriminator, adam.beta1, adam.beta2) == (2e-4, 2e-4, 0.5, 0.999)
    assert adam.halve_every_epochs == 20
    assert config.model == ModelConfig("storygan", 4, 100)


def test_what_is_out_of_range_is_named() -> None:
    with pytest.raises(UsageError, match="unknown variant 'dcgan': choose one of storygan, imagegan, svc, svfn"):
        ModelConfig(variant="dcgan")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"model\.T is 0"):
        ModelConfig(T=0)
    with pytest.raises(UsageError, match="batch_size is 1"):
        TrainConfig(batch_size=1)
    with pytest.raises(UsageError, match="ema is 1"):
        TrainConfig(ema=1.0)
    with pytest.raises(UsageError, match="colour"):
        TrainConfig.from_dict({"colour": 3})
    with pytest.raises(UsageError, match="alfa"):
        TrainConfig.from_dict({"loss": {"alfa": 3}})
