"""The folder of a finished stage, `RUN/stages/K-NAME/`: a model folder with the discriminators
(`discriminators.safetensors`) and the auxiliary classifier (`aux_classifier/`), if they exist."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from storygan.config import TrainConfig
from storygan.errors import StoryganError, UsageError, reason
from storygan.files import atomic_write
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import StoryGAN
from storygan.models.weights import load_weights

STAGES = "stages"
DISCRIMINATORS, AUX_CLASSIFIER = "discriminators.safetensors", "aux_classifier"


@dataclass
class InitialWeights:
    """The networks that a stage starts from; all others are initialized from the seed."""

    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """State dicts of `G`, `D_I` and `D_S`."""
    classifier: AttributeClassifier | None = None


def stage_folder(run: Path, config: TrainConfig, number: int) -> Path:
    """Return the folder of a stage, e.g. `RUN/stages/2-adversarial` for number 1 (from 0)."""
    return run / STAGES / f"{number + 1}-{list(config.stages)[number]}"


def save_stage(folder: Path, model: StoryGAN, others: dict[str, nn.Module], before: Path | None) -> None:
    """Write a stage's folder, atomically.

    Args:
        folder: its path.
        model: the generator.
        others: `D_I`, `D_S` and `C`, if the stage has them.
        before: folder of the previous stage; networks that this stage lacks are copied from it.
    """
    discriminators = {
        f"{network}.{name}": tensor.contiguous()
        for network in ("D_I", "D_S")
        if network in others
        for name, tensor in others[network].state_dict().items()
    }
    with _replaced(folder) as partial:
        model.save_pretrained(partial)
        if before is not None:
            _copy_files(before, partial, DISCRIMINATORS, f"{AUX_CLASSIFIER}/*")
        if discriminators:
            atomic_write(partial / DISCRIMINATORS, save(discriminators))
        if "C" in others:
            others["C"].save(partial / AUX_CLASSIFIER)  # type: ignore[operator]


def copy_stage(source: Path, folder: Path) -> None:
    """Copy a stage's folder, atomically."""
    with _replaced(folder) as partial:
        _copy_files(source, partial, "*", f"{AUX_CLASSIFIER}/*")


def _copy_files(source: Path, target: Path, *patterns: str) -> None:
    """Copy the regular files of a folder that match one of the patterns: a pipe or a device may never end."""
    for path in [path for pattern in patterns for path in source.glob(pattern) if path.is_file()]:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Give a temporary name, which a killed process may have left, and replace the folder when the block ends."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_stage(folder: Path) -> InitialWeights:
    """Load the networks of a stage's folder. Raises StoryganError where a file cannot be read."""
    start = InitialWeights({"G": StoryGAN.from_pretrained(folder).state_dict()})
    if (folder / DISCRIMINATORS).exists():
        try:
            tensors = load_weights(folder / DISCRIMINATORS)
        except Exception as error:  # the readers raise many kinds on damaged or foreign files
            raise StoryganError(f"{folder / DISCRIMINATORS} cannot be read: {reason(error)}") from error
        for name, tensor in tensors.items():
            network, _, parameter = name.partition(".")
            start.states.setdefault(network, {})[parameter] = tensor
    if (folder / AUX_CLASSIFIER).exists():
        start.classifier = AttributeClassifier.load(folder / AUX_CLASSIFIER)
    return start


def aux_classifier(config: TrainConfig) -> AttributeClassifier | None:
    """Load the auxiliary classifier that a configuration names; None: it names none."""
    return AttributeClassifier.load(config.aux_classifier) if config.aux_classifier else None


def initial_weights(config: TrainConfig) -> InitialWeights:
    """Load the networks that the first stage starts from: `init_from` and `aux_classifier`, where they are set.

    Raises:
        UsageError: the model's configuration differs from the run's in more than T.
    """
    start = InitialWeights(classifier=aux_classifier(config))
    if not config.init_from:
        return start
    model, mine = StoryGAN.from_pretrained(config.init_from), vars(config.model)
    other = [f"--model.{key} {value}" for key, value in vars(model.config).items() if key != "T" and value != mine[key]]
    if other:
        raise UsageError(f"init_from: {config.init_from} is another model than this run's: add {' '.join(other)}")
    start.states["G"] = resize_story_encoder(model.state_dict(), config.model.T)
    return start


def resize_story_encoder(state: dict[str, Tensor], T: int) -> dict[str, Tensor]:
    """Fit a generator's state to stories of T sentences.

    The story encoder's first layer has 128 columns per sentence: columns of further sentences are dropped, columns of
    new sentences are 0.
    """
    name = "story_encoder.layer.0.weight"
    weight = state[name]  # (128, 128 * T of the model)
    columns = weight.new_zeros(len(weight), 128 * T)
    kept = min(weight.shape[1], columns.shape[1])
    columns[:, :kept] = weight[:, :kept]
    return {**state, name: columns}
