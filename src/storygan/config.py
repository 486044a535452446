"""The configuration of an experiment: dataclasses, one YAML file per experiment, dotted overrides.

A recipe is an ordered mapping of stages. Loss weights are 0 by default: a term without a weight is not computed, and a
network that no term needs is not built.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal, get_args

from storygan.errors import UsageError, require_seed, require_threads

Variant = Literal["storygan", "imagegan", "svc", "svfn"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
NoiseDistribution = Literal["normal", "circle"]
ImageSize = Literal[64, 128]
LRSchedule = Literal["constant", "cosine", "halving"]
GANLoss = Literal["saturating", "non-saturating", "relativistic"]

MAX_DIM = 2_000
"""Largest T and noise_dim; a layer of that size has 130 MB."""


@dataclass
class ModelConfig:
    """Shape of the generator, saved with the model.

    Raises:
        UsageError: a choice is unknown or a size out of range.
    """

    variant: Variant = "storygan"
    """`storygan`, or one of the paper's baselines: `imagegan`, `svc`, `svfn` (paper, section 4)."""
    T: int = 4
    """Sentences (and frames) of a story: 4 for CLEVR-SV, 5 for Pororo-SV. 0 in a recipe: that of the data set."""
    noise_dim: int = 100
    """Size of `eps_t`, the noise of each sentence."""
    noise: NoiseDistribution = "normal"
    """Distribution of `eps_t`: `normal`, N(0, I), or `circle`, not in the paper: each consecutive pair of values is
    uniform on a circle of radius sqrt(2), so each value has mean 0 and variance 1. An odd last value stays normal."""
    image_size: ImageSize = 64
    """Pixels a side of a frame. 128 (not in the paper): one more block in the image generator and discriminators."""

    def __post_init__(self) -> None:
        _require_choices(self)
        for name, low in (("T", 0), ("noise_dim", 1)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= MAX_DIM:
                raise UsageError(f"model.{name} is {value}: it must be a whole number from {low} to {MAX_DIM:,}")


@dataclass
class DiscriminatorConfig:
    """Shape of D_I and D_S, the same in all stages. The defaults are the paper's."""

    norm: Literal["batch", "none"] = "batch"
    """`batch`: the paper's batch normalization; `none`: no norm, and He initialization (He et al., 2015). A logit then
    depends on one sample only, so R1 and R2 do not mix samples."""
    spectral_norm: bool = False
    """Spectral norm on every convolution and linear map of both discriminators (Miyato et al., 2018)."""
    label_head: bool = False
    """D_I also predicts the frame's labels (the authors' code; AC-GAN). Needs a labelled data set."""

    def __post_init__(self) -> None:
        _require_choices(self)


@dataclass
class NetworkConfig:
    """Adam settings and learning rate schedule of one network in a stage.

    `lr` and `betas` default to the paper's values. The paper's schedule is `halving`.
    """

    lr: float = 2e-4
    """Learning rate, at the start of the stage."""
    lr_schedule: LRSchedule = "constant"
    """`constant`; `cosine`: from `lr` to 0, half a cosine over the stage (Loshchilov & Hutter, 2017); `halving`:
    halved every 20 epochs (paper, section 4)."""
    lr_warmup: int = 0
    """Iterations in which the learning rate rises linearly to that of the schedule (Goyal et al., 2017)."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the mean and the squared gradient."""
    steps: int = 1
    """Adam steps per iteration; steps after the first use newly generated frames."""

    def __post_init__(self) -> None:
        _require_choices(self)


@dataclass
class GeneratorLoss:
    """Weights of the generator's terms. Those of `L_image` and `L_story` are the paper's alpha and beta."""

    L_image: float = 0.0
    """Adversarial term of D_I, summed over the T frames."""
    L_story: float = 0.0
    """Adversarial term of D_S."""
    L_KL: float = 0.0
    """KL of N(mu, sigma^2) to N(0, I), in nats, summed over the 128 values (paper, section 3.1)."""
    mse: float = 0.0
    """Mean squared error to the real frames, in [-1, 1]."""
    aux: float = 0.0
    """Auxiliary classifier loss of the generated frames. The classifier learns from real frames: see `C.loss`."""
    label: float = 0.0
    """Cross-entropy of D_I's label head, a mean over labels. Needs `discriminator.label_head`."""

    @property
    def adversarial(self) -> bool:
        """Whether a term of a discriminator has a weight."""
        return bool(self.L_image or self.L_story or self.label)


@dataclass
class ImageDiscriminatorLoss:
    """Weights of D_I's terms."""

    L_image: float = 0.0
    r1: float = 0.0
    """gamma of `gamma/2 |grad_x D(x)|^2` on real frames (Mescheder et al., 2018), summed over T like L_image."""
    r2: float = 0.0
    """The same on generated frames."""
    label: float = 0.0
    """Cross-entropy of the label head on real frames, a mean over labels."""


@dataclass
class StoryDiscriminatorLoss:
    """Weights of D_S's terms."""

    L_story: float = 0.0
    r1: float = 0.0
    """gamma of `gamma/2 |grad_X D(X)|^2` on real sequences."""
    r2: float = 0.0
    """The same on generated sequences."""


@dataclass
class AuxClassifierLoss:
    """Weights of the auxiliary classifier's terms, on real frames. A term without ground truth in the data set is 0."""

    label: float = 0.0
    """Cross-entropy of the labels, a mean over labels."""
    present: float = 0.0
    """Cross-entropy of object presence at a location, for CLEVR-SV sentences."""
    attributes: float = 0.0
    """Cross-entropy of size, colour, material and shape, summed over the four."""
    direction: float = 0.0
    """Squared error of the direction of the first two values of `frame_nuisance`: a cube's yaw."""


@dataclass
class GeneratorConfig(NetworkConfig):
    loss: GeneratorLoss = field(default_factory=GeneratorLoss)
    """Weights of the terms."""
    adversarial_ratio: float = 0.0
    """If not 0, `L_image`, `L_story` and `label` are scaled by one factor: the norm of their gradient with respect to
    the frames X^ becomes this multiple of that of `mse` + `aux`. The norms are running means. This is the adaptive
    weight of VQGAN (Esser et al., 2021), at the frames. 0: no scaling."""


@dataclass
class ImageDiscriminatorConfig(NetworkConfig):
    loss: ImageDiscriminatorLoss = field(default_factory=ImageDiscriminatorLoss)
    """Weights of the terms."""


@dataclass
class StoryDiscriminatorConfig(NetworkConfig):
    loss: StoryDiscriminatorLoss = field(default_factory=StoryDiscriminatorLoss)
    """Weights of the terms."""


@dataclass
class AuxClassifierConfig(NetworkConfig):
    loss: AuxClassifierLoss = field(default_factory=AuxClassifierLoss)
    """Weights of the terms."""


@dataclass
class StageConfig:
    """One stage: the networks that learn, their losses, and the batches. A network that is null does not learn."""

    iterations: int = 20_000
    """Iterations of the stage."""
    batch_size: int = 16
    """B, stories per iteration, divided among processes."""
    D_I: ImageDiscriminatorConfig | None = None
    """The image discriminator."""
    D_S: StoryDiscriminatorConfig | None = None
    """The story discriminator. The variant `imagegan` has none and skips its terms."""
    C: AuxClassifierConfig | None = None
    """The auxiliary classifier."""
    G: GeneratorConfig | None = None
    """The generator: story encoder, context encoder and image generator."""
    gan_loss: GANLoss = "non-saturating"
    """`saturating`: the generator minimises log(1 - D(x^)), the formula as written; `non-saturating`: -log D(x^);
    `relativistic`: D learns that a real frame's logit is above that of the generated frame for the same sentence, the
    generator learns the opposite (Jolicoeur-Martineau, 2019; R3GAN: Huang et al., 2024)."""
    mismatched: bool = False
    """Real frames with another story's sentences count as fake, at half weight (Reed et al., 2016)."""
    r1_every: int = 16
    """Interval of R1 and R2 in iterations; their weights are multiplied by it (lazy; Karras et al., 2020)."""
    frames: int = 0
    """Generated frames per story, sampled in each iteration, later ones more often; 0: all T."""
    disc_frames: int = 0
    """Generated frames per story that D_I sees, weighted by T / disc_frames; 0: all of them."""
    shuffle_sentences: bool = False
    """Shuffle the sentences such that the generated frames stay correct: for cumulative stories like CLEVR-SV."""
    foreground_weight: float = 1.0
    """Weight of foreground pixels in `mse`; background pixels have 1. Needs the column `foreground`."""
    couple_nuisance: bool = False
    """Use the data set's nuisance variables as the first values of `eps_0` and `eps_t`. Needs those columns."""
    freeze_batch_norm: bool = False
    """Freeze the running statistics of the generator's batch norm, and use them."""
    ema: float = 0.0
    """Decay per iteration of the generator's EMA weights, which the next stage and the saved model use; 0: no EMA."""
    shards: list[int] = field(default_factory=list)
    """Indices of the split's shards to train on, from 0; empty: all."""

    def __post_init__(self) -> None:
        _require_choices(self)

    def learning(self) -> dict[str, Any]:
        """Return the configurations of the networks that learn, in the order of the paper's steps."""
        each = {name: getattr(self, name) for name in ("D_I", "D_S", "C", "G")}
        return {name: network for name, network in each.items() if network is not None}

    def needs(self, network: str) -> bool:
        """Return whether a network learns in this stage, or a term of the generator needs it."""
        terms = self.G.loss if self.G else GeneratorLoss()
        used = {"G": 1.0, "D_I": terms.L_image or terms.label, "D_S": terms.L_story, "C": terms.aux}
        return getattr(self, network) is not None or bool(used[network])


@dataclass
class ValidationConfig:
    """Validation of the EMA weights on held-out stories; the best model is saved to `RUN/best`."""

    every: int = 0
    """Interval in iterations; 0: never."""
    split: str = "validation"
    """Split of the data set."""
    stories: int = 200
    """Number of stories, the first of the split."""
    metric: str = "object_accuracy"
    """Metric of `best`, named as in `evaluate`: `object_accuracy`, `label_micro_f1`, `kid_efficientnet_lite0`, ..."""
    patience: int = 0
    """Early stopping: the run ends after this number of validations without a better `metric`; 0: it does not."""


@dataclass
class DataConfig:
    """The data set."""

    path: str = ""
    """Data set folder in the canonical Parquet format, or one on the hub, `hub:user/name@REVISION`; a run stores the
    commit."""
    split: str = "train"
    """Split to train on."""


_AT_LEAST_1 = (
    *("devices", "num_nodes", "timeout", "log_every", "sample_every", "checkpoint_every", "keep_checkpoints"),
    "validation.stories",
)


@dataclass
class TrainConfig:
    """A complete experiment, the content of `config.yaml` in the run folder.

    Raises:
        UsageError: a value is out of range.
    """

    run: str = "runs/storygan"
    """The run folder."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    sentence_encoder: Literal["clevr", "sentence"] = "clevr"
    """Sentence encoder, saved with the model. `clevr`: CLEVR-SV's grammar; `sentence`: English (MiniLM)."""
    init_from: str = ""
    """Model (name of a shipped one, folder, or hub id) whose weights and sentence encoder the first stage starts from.
    For another T, the story encoder is resized."""
    aux_classifier: str = ""
    """Folder of a trained auxiliary classifier. Evaluate with a different one; otherwise scores are biased."""
    initialization: Literal["dcgan", "pytorch"] = "dcgan"
    """Initial weights. `dcgan`: N(0, 0.02) (paper); `pytorch`: the defaults of each layer."""
    stages: dict[str, StageConfig] = field(default_factory=dict)
    """The recipe: stages by name, in order."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    seed: int = 0
    """Seed of the weights, the noise and the order of the stories: 0 to 2^63 - 1."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """`bf16`: autocast; weights, gradients and Adam states stay fp32. `auto`: bf16 where the hardware multiplies bf16
    matrices (CPUs with `amx_bf16`, GPUs since Ampere), otherwise fp32; a run stores which, and resumes in it."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1` or `mps`; `auto`: the accelerator if there is one."""
    devices: int = 1
    """Devices to train on together on each machine, a process each. `torchrun` sets this and `num_nodes` itself."""
    num_nodes: int = 1
    """Machines that train together."""
    threads: int = 0
    """CPU threads per process; 0: its share of the cores. Bit-exact resuming needs the same number."""
    timeout: int = 1800
    """Seconds that a process waits for the others before all end."""
    log_every: int = 10
    """Interval of the logged losses, in iterations."""
    sample_every: int = 500
    """Interval of the picture of generated stories, `RUN/samples`, in iterations."""
    checkpoint_every: int = 500
    """Interval of checkpoints, in iterations. A run that ends early saves one, too."""
    keep_checkpoints: int = 3
    """Number of checkpoints to keep, the newest."""

    def __post_init__(self) -> None:
        _require_choices(self)
        require_seed(self.seed)
        if not self.run:
            raise UsageError("run is empty: name a folder")
        values = dict(leaves(asdict(self)))
        for name in (*_AT_LEAST_1, "validation.every", "validation.patience"):
            _require_least(name, values[name], int(name in _AT_LEAST_1))
        if self.validation.patience and not self.validation.every:
            raise UsageError("validation.patience counts validations: set validation.every too")
        require_threads(self.threads)
        for name, stage in self.stages.items():
            _require_stage(f"stages.{name}", stage)

    @property
    def iterations(self) -> int:
        """Iterations of all stages together."""
        return sum(stage.iterations for stage in self.stages.values())

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries, as in `config.yaml` and checkpoints."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Build a configuration from `to_dict`'s output.

        Raises:
            UsageError: a field is unknown, or a value out of range.
        """
        try:
            return _build(cls, values)
        except (TypeError, AttributeError) as error:
            raise UsageError(f"this configuration does not fit this version of storygan: {error}") from error


def _require_stage(where: str, stage: StageConfig) -> None:
    """Raise UsageError where a value of a stage is out of range, or no network learns."""
    name = where.removeprefix("stages.")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{name!r} is no name of a stage: use letters, digits, - and _")
    if not stage.learning():
        raise UsageError(f"{where} trains no network: name one, G, D_I, D_S or C, with its loss")
    if stage.batch_size < 2:
        raise UsageError(f"{where}.batch_size is {stage.batch_size}: batch normalization needs at least 2 stories")
    if not 0 <= stage.ema < 1:
        raise UsageError(f"{where}.ema is {stage.ema}: it must be in [0, 1)")
    for field_name, least in (("iterations", 1), ("r1_every", 1), ("foreground_weight", 0)):
        _require_least(f"{where}.{field_name}", getattr(stage, field_name), least)
    for field_name, value in leaves({n: asdict(network) for n, network in stage.learning().items()}):
        if field_name.endswith(".betas"):
            if not all(0 <= beta < 1 for beta in value):
                raise UsageError(f"{where}.{field_name} is {list(value)}: both must be in [0, 1)")
        elif not isinstance(value, str):
            _require_least(f"{where}.{field_name}", value, int(field_name.endswith(".steps")))
    for network, config in stage.learning().items():
        if not any(vars(config.loss).values()):
            raise UsageError(f"{where}.{network} has no loss: name one of {', '.join(vars(config.loss))}")
    if stage.G and stage.G.adversarial_ratio and not (stage.G.loss.mse or stage.G.loss.aux):
        raise UsageError(f"{where}.G.adversarial_ratio is a ratio to mse and aux: give one of them a weight")
    if stage.G and stage.G.adversarial_ratio and not stage.G.loss.adversarial:
        raise UsageError(f"{where}.G.adversarial_ratio scales L_image, L_story and label: give one of them a weight")


def _require_least(name: str, value: float, least: int) -> None:
    """Raise UsageError unless a value is `least`, 1 or 0, or more, and finite."""
    if not least <= value < math.inf:
        raise UsageError(f"{name} is {value}: it must be {'at least 1' if least else '0 or more'}")


def _require_choices(config: Any) -> None:
    """Raise UsageError where a field of a Literal type has another value."""
    for name, kind in typing.get_type_hints(type(config)).items():
        if typing.get_origin(kind) is Literal and (given := getattr(config, name)) not in (known := get_args(kind)):
            raise UsageError(f"unknown {name} {given!r}: choose one of {', '.join(known)}")


def _build(kind: Any, values: Any) -> Any:
    """Build a dataclass, and those nested in it, from dictionaries."""
    if not isinstance(values, dict):
        raise TypeError(f"{values!r} is no mapping of the fields of {kind.__name__}")
    hints, nested = typing.get_type_hints(kind), dict(values)
    for name, value in nested.items():
        arguments = [hints.get(name), *get_args(hints.get(name))]
        inner = next((one for one in arguments if is_dataclass(one)), None)
        if name in hints and inner is None and isinstance(value, dict):
            raise TypeError(f"{name} has no fields, but is {value!r}")
        if inner is None or is_dataclass(value) or (value is None and type(None) in arguments):
            continue
        if typing.get_origin(hints[name]) is dict:
            nested[name] = {key: _build(inner, one) for key, one in value.items()}
        else:
            nested[name] = _build(inner, value)
    if "betas" in nested:
        nested["betas"] = tuple(nested["betas"])
    return kind(**nested)


def _plain(value: Any) -> Any:
    """Return the value with lists in place of tuples, for YAML."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries by dotted name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
