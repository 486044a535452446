"""The configuration of an experiment: plain dataclasses, one YAML file an experiment, dotted overrides.

Every default is the paper's (Li et al., CVPR 2019) where the paper gives a value, but for `loss.saturating`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any, Literal, get_args

from storygan.types import UsageError, require_seed

Variant = Literal["storygan", "imagegan", "svc", "svfn"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
Distribution = Literal["normal", "circles"]

MOST_OF_A_SHAPE = 10_000
"""Sentences of a story, or values of its noise; a layer of that many is 650 MB."""


@dataclass
class ModelConfig:
    """What is drawn with: the networks' shape. Saved with the model.

    Raises:
        UsageError: on an unknown variant or a size below 1.
    """

    variant: Variant = "storygan"
    """`storygan`, or one of the paper's baselines: `imagegan`, `svc`, `svfn` (paper, section 4)."""
    T: int = 4
    """Sentences, and so frames, of a story: 4 for CLEVR-SV, 5 for Pororo-SV."""
    noise_dim: int = 100
    """Size of `eps_t`, the noise that joins every sentence."""
    noise: Distribution = "normal"
    """How `eps_t` is drawn: `normal`, N(0, I), or `circles`, not in the paper: two values after the other are a point
    of a circle of radius sqrt(2), any as likely, so that each has mean 0 and variance 1 and none says how far out."""

    def __post_init__(self) -> None:
        for name, known in {"variant": VARIANTS, "noise": get_args(Distribution)}.items():
            if (given := getattr(self, name)) not in known:
                raise UsageError(f"unknown {name} {given!r}: choose one of {', '.join(known)}")
        for name in ("T", "noise_dim"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST_OF_A_SHAPE:
                raise UsageError(f"model.{name} is {value}: it must be a whole number from 1 to {MOST_OF_A_SHAPE:,}")
        if self.noise == "circles" and self.noise_dim % 2:
            raise UsageError(f"model.noise_dim is {self.noise_dim}: circles take two values each, so an even number")


@dataclass
class DiscriminatorConfig:
    """Options of D_I and D_S, all off in the paper's configuration."""

    spectral_norm: bool = False
    """Spectral norm on every convolution and linear map of both discriminators (Miyato et al., 2018)."""
    label_head: bool = False
    """D_I also predicts the frame's labels (the authors' code; AC-GAN). Needs a labelled data set."""
    frames: int = 0
    """Frames of each story that D_I judges, drawn anew in each iteration and counted T / frames times (the authors'
    code: 1); 0: all T."""


@dataclass
class LossConfig:
    """Weights and forms of the terms of `alpha * L_image + beta * L_story + L_KL` (paper, equation 7)."""

    alpha: float = 1.0
    """Weight of L_image."""
    beta: float = 1.0
    """Weight of L_story."""
    kl: float = 1.0
    """Weight of L_KL; 1 in the formula."""
    saturating: bool = False
    """True: the generator minimises log(1 - D(x^)), the formula as written. False: it minimises -log D(x^)."""
    mismatched: bool = False
    """Real images with another story's sentences count as fake (Reed et al., 2016)."""
    squared_error: float = 0.0
    """Weight of the squared error to the real frames within the adversarial phase."""
    r1: float = 0.0
    """Weight gamma of the R1 penalty gamma/2 |grad_x D(x)|^2 on real data (Mescheder et al., 2018): a mean over images
    or sequences, beside an L_image that is a sum over T. Within `alpha` and `beta`."""
    r1_every: int = 16
    """The R1 penalty is computed every so many iterations, and weighted by as much (lazy, Karras et al., 2020)."""
    label: float = 1.0
    """Weight of the label loss, a mean over frames, where `discriminator.label_head` is on."""
    teacher: float = 1.0
    """Weight of what the `teacher` says, where there is one."""


@dataclass
class AdamConfig:
    """Adam, and its learning rate over time."""

    lr_generator: float = 2e-4
    lr_discriminator: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    halve_every_epochs: int = 20
    """The learning rates are halved every so many epochs of the adversarial phase (an epoch of a small data set is
    short); 0 keeps them."""


@dataclass
class WarmUpConfig:
    """The generator alone, on the squared error, before the adversarial phase. Off in the paper's configuration."""

    iterations: int = 0
    discriminator_iterations: int = 0
    """After it, the discriminators alone, so that the generator meets trained ones."""
    lr: float = 1e-3
    cosine: bool = False
    """The rate falls from `lr` to 0 over the warm-up, half a cosine (Loshchilov & Hutter, 2017)."""
    beta1: float = 0.9
    frames: int = 0
    """Frames of each story that are drawn, anew in each iteration, rather late ones, which show the most; 0: all T."""
    any_order: bool = False
    """The sentences of a story come in a new order in each iteration, one that leaves the drawn frames as they are:
    for stories whose frames show all that was told so far, whatever came first, as CLEVR-SV's do."""
    object_weight: float = 1.0
    """How often the squared error of a pixel counts that shows an object, in stories that this package rendered: most
    of a CLEVR-SV frame is floor."""
    drawings: int = 1
    """Drawings of each story, of which the one nearest to the real frames learns (IMLE: Li & Malik, 2018), so that the
    noise may stand for what no sentence tells; 1 is no choice."""
    fixed_norms: bool = False
    """Batch norm goes by its running statistics, which stay: for the end, as those of a batch are noise."""
    kl: float = 0.01
    """Weight of L_KL here, against a squared error that is a mean over pixels in [-1, 1]."""
    teacher: float = 0.003
    """Weight of what the `teacher` says here, where there is one."""

    @property
    def until(self) -> int:
        """Iterations before the adversarial phase."""
        return self.iterations + self.discriminator_iterations


@dataclass
class DataConfig:
    """Where the stories are."""

    path: str = ""
    """A folder in the canonical Parquet form."""
    split: str = "train"


_AT_LEAST_1 = (
    "iterations",
    "timeout",
    "log_every",
    "sample_every",
    "checkpoint_every",
    "keep_checkpoints",
    "loss.r1_every",
    "warm_up.drawings",
)
_AT_LEAST_0 = (
    "threads",
    *(f"loss.{name}" for name in ("alpha", "beta", "kl", "squared_error", "r1", "label", "teacher")),
    *(f"adam.{name}" for name in ("lr_generator", "lr_discriminator", "halve_every_epochs")),
    *(f"warm_up.{name}" for name in ("iterations", "discriminator_iterations", "lr", "object_weight", "kl", "teacher")),
)
_BELOW_1 = ("ema", "adam.beta1", "adam.beta2", "warm_up.beta1")


@dataclass
class TrainConfig:
    """One experiment, complete: what `config.yaml` in the run folder holds.

    Raises:
        UsageError: on a value out of its range.
    """

    run: str = "runs/storygan"
    """The run folder."""
    data: DataConfig = field(default_factory=DataConfig)
    sentence_encoder: Literal["clevr", "sentence"] = "clevr"
    """What makes `s_t` from a sentence; saved with the model. `clevr`: CLEVR-SV's grammar; `sentence`: any English."""
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    warm_up: WarmUpConfig = field(default_factory=WarmUpConfig)
    initialization: Literal["dcgan", "layers"] = "dcgan"
    """What the networks' weights start as, the generator's where `start` names none. `dcgan`: N(0, 0.02); `layers`:
    each layer's own, as PyTorch has it."""
    start: str = ""
    """A model (a shipped one's name, a folder, a hub id) whose weights and sentence encoder the generator starts with;
    none in the paper's configuration."""
    teacher: str = ""
    """Folder of a recognizer that also teaches the generator; none in the paper's configuration. It must not be the one
    that judges."""
    coupled_noise: bool = False
    """The noise of a rendered CLEVR-SV story agrees with what its frames show and no sentence tells: where camera and
    lights strayed, how each cube is turned as the camera sees it. Not in the paper."""
    iterations: int = 20_000
    """Iterations of the whole run, the warm-up's included."""
    batch_size: int = 16
    """B, stories an iteration; several processes share them out."""
    ema: float = 0.0
    """Decay an iteration of the averaged weights that are drawn with and exported; 0 for none."""
    seed: int = 0
    threads: int = 0
    """CPU threads of a process; 0: the cores it may use, shared out. Resuming bit for bit needs the same number."""
    timeout: int = 1800
    """Seconds that a process waits for the others that it trains with, before all end."""
    log_every: int = 10
    sample_every: int = 500
    checkpoint_every: int = 500
    keep_checkpoints: int = 3
    """The newest checkpoints that are kept."""

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise UsageError(f"batch_size is {self.batch_size}: batch normalisation needs at least 2 stories")
        for name in _AT_LEAST_1:
            if (value := attrgetter(name)(self)) < 1:
                raise UsageError(f"{name} is {value}: it must be at least 1")
        for name in _AT_LEAST_0:
            if math.isnan(value := attrgetter(name)(self)) or value < 0:
                raise UsageError(f"{name} is {value}: it must be 0 or more")
        for name in _BELOW_1:
            if not 0 <= (value := attrgetter(name)(self)) < 1:
                raise UsageError(f"{name} is {value}: it must be in [0, 1)")
        require_seed(self.seed)
        if not self.run:
            raise UsageError("run is empty: name a folder")

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, as they stand in `config.yaml` and in checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`.

        Raises:
            UsageError: on an unknown field, or a value out of its range.
        """
        parts = {
            "data": DataConfig,
            "model": ModelConfig,
            "discriminator": DiscriminatorConfig,
            "loss": LossConfig,
            "adam": AdamConfig,
            "warm_up": WarmUpConfig,
        }
        try:
            return cls(**{name: parts[name](**value) if name in parts else value for name, value in values.items()})
        except TypeError as error:
            raise UsageError(f"this configuration does not fit this version of storygan: {error}") from error
