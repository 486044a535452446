"""What a finished stage leaves to the next one: `RUN/stages/K-NAME/`, a model folder that also holds the discriminators
(`discriminators.safetensors`) and the auxiliary classifier (`aux_classifier/`), as far as there are any yet."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor, nn

from storygan.config import TrainConfig
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_write, read_file
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import MAX_WEIGHTS, StoryGAN

STAGES = "stages"
DISCRIMINATORS, AUX_CLASSIFIER = "discriminators.safetensors", "aux_classifier"


@dataclass
class StageStart:
    """The networks that a stage starts from; those that it lacks start from the seed."""

    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """By network, `G`, `D_I` and `D_S`, its state."""
    classifier: AttributeClassifier | None = None


def stage_folder(run: Path, config: TrainConfig, number: int) -> Path:
    """Return the folder of a stage: `RUN/stages/2-adversarial` for number 1, which is counted from 0."""
    return run / STAGES / f"{number + 1}-{list(config.stages)[number]}"


def save_stage(folder: Path, model: StoryGAN, others: dict[str, nn.Module], before: Path | None) -> None:
    """Write a stage's folder, whole or not at all.

    Args:
        others: `D_I`, `D_S` and `C`, those that the stage has.
        before: the folder of the stage before, whose other networks are kept.
    """
    partial = _partial(folder)
    model.save_pretrained(partial)
    for name in (DISCRIMINATORS, AUX_CLASSIFIER):
        if before is not None and (before / name).exists():
            (shutil.copytree if (before / name).is_dir() else shutil.copyfile)(before / name, partial / name)
    discriminators = {
        f"{network}.{name}": tensor.contiguous()
        for network in ("D_I", "D_S")
        if network in others
        for name, tensor in others[network].state_dict().items()
    }
    if discriminators:
        atomic_write(partial / DISCRIMINATORS, save(discriminators))
    if "C" in others:
        others["C"].save(partial / AUX_CLASSIFIER)  # type: ignore[operator]
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def copy_stage(source: Path, folder: Path) -> None:
    """Copy the folder of a stage, whole or not at all."""
    partial = _partial(folder)
    shutil.copytree(source, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _partial(folder: Path) -> Path:
    """Return the name of a folder until it is whole; what a killed process left of it is removed."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def load_stage(folder: Path) -> StageStart:
    """Read what a stage left. StoryganError where it cannot be read."""
    start = StageStart({"G": StoryGAN.from_pretrained(folder).state_dict()})
    if (folder / DISCRIMINATORS).exists():
        try:
            tensors = load(read_file(folder / DISCRIMINATORS, MAX_WEIGHTS))
        except Exception as error:  # whatever the readers raise on torn or foreign files
            raise StoryganError(f"{folder / DISCRIMINATORS} cannot be read: {reason(error)}") from error
        for name, tensor in tensors.items():
            network, _, parameter = name.partition(".")
            start.states.setdefault(network, {})[parameter] = tensor
    if (folder / AUX_CLASSIFIER).exists():
        start.classifier = AttributeClassifier.load(folder / AUX_CLASSIFIER)
    return start


def first_start(config: TrainConfig) -> StageStart:
    """Return what the first stage of a run starts from: `init_from` and `aux_classifier`, where they are named.

    Raises:
        UsageError: the model is of another shape, its T aside.
    """
    start = StageStart(classifier=AttributeClassifier.load(config.aux_classifier) if config.aux_classifier else None)
    if not config.init_from:
        return start
    model, mine = StoryGAN.from_pretrained(config.init_from), vars(config.model)
    other = [f"--model.{key} {value}" for key, value in vars(model.config).items() if key != "T" and value != mine[key]]
    if other:
        raise UsageError(f"init_from: {config.init_from} is another model than this run's: add {' '.join(other)}")
    start.states["G"] = resized_to(model.state_dict(), config.model.T)
    return start


def resized_to(state: dict[str, Tensor], T: int) -> dict[str, Tensor]:
    """Fit a model's state to stories of T sentences: the story encoder's first layer takes them side by side, so
    columns of further sentences are dropped, and new ones are 0."""
    name = "story_encoder.layer.0.weight"
    weight = state[name]  # (128, 128 * its own T)
    columns = weight.new_zeros(len(weight), 128 * T)
    kept = min(weight.shape[1], columns.shape[1])
    columns[:, :kept] = weight[:, :kept]
    return {**state, name: columns}
