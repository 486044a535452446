"""Readers of models, configurations and run folders."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import torch
import yaml
from safetensors.numpy import save as save_tensors
from tests.fuzz import contents as c
from tests.fuzz.harness import Examples, Finding, in_file, reader, write
from torch import nn
from torch.optim.swa_utils import AveragedModel

from storygan.cli.parser import Parser
from storygan.cli.train import read_runs_file, require_stages, train_options, training_config
from storygan.compare.page import draw_curves, read_curves
from storygan.compare.round_robin import Run
from storygan.config import GeneratorConfig, GeneratorLoss, ModelConfig, StageConfig, TrainConfig
from storygan.errors import StoryganError
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.model_card import add_results, make_card, read_card
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import load_sentence_encoder
from storygan.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from storygan.training.distributed import Processes
from storygan.training.loggers import truncate_metrics
from storygan.training.networks import AdversarialRatio, Networks
from storygan.training.run_folder import RunFolder
from storygan.training.trainer import StageTrainer

SENTENCES = ["large red rubber cube at (2.18, -2.85)"]

# ---- models ----

CONFIG: dict[str, Any] = {"variant": "imagegan", "T": 1, "noise_dim": 2}


@functools.cache
def small_model() -> StoryGAN:
    """Return the smallest model."""
    torch.manual_seed(0)
    return StoryGAN(ModelConfig(**CONFIG), ClevrEncoder()).half_weights()


def generate(folder: Path) -> None:
    """Load a model and generate."""
    model = StoryGAN.from_pretrained(folder)
    model.generate(SENTENCES[: model.config.T])


def model_file(
    name: str, examples: Callable[[], Examples], read: Callable[[Path], object] = generate, **refused: bytes
) -> None:
    """Register the reader of one file of a model folder."""

    def prepare(folder: Path) -> Iterator[bytes]:
        small_model().save_pretrained(folder)
        yield (folder / name).read_bytes()
        yield from examples()

    in_file(f"model {name}", name, prepare, read, **refused)


model_file(
    "config.json",
    lambda: c.jsons(CONFIG),
    huge_T=json.dumps({**CONFIG, "T": 10**12}).encode(),
    weights_of_another_T=json.dumps({**CONFIG, "T": 9999}).encode(),
    true=json.dumps({**CONFIG, "T": True}).encode(),
)


def changed_weights(ending: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """Return `model.safetensors` with the first tensor of that name's ending changed."""
    state = {name: tensor.numpy() for name, tensor in small_model().state_dict().items()}
    name = next(name for name in state if name.endswith(ending))
    return save_tensors({**state, name: change(state[name])})


model_file(
    "model.safetensors",
    lambda: c.tensors({name: tensor.numpy() for name, tensor in small_model().state_dict().items()}),
    not_a_number=changed_weights("weight", lambda values: values * np.float16(np.nan)),
    infinite=changed_weights("weight", lambda values: np.full_like(values, np.inf)),
    negative_variance=changed_weights("running_var", lambda values: -1 - values),
    whole_numbers=changed_weights("weight", lambda values: values.astype(np.int8)),
    truth_values=changed_weights("weight", lambda values: values.astype(bool)),
)
model_file(
    "sentence_encoder.json",
    lambda: c.jsons({"kind": "clevr"}),
    load_sentence_encoder,
    unknown_kind=b'{"kind": "morse"}',
)
model_file(
    "sentence_encoder.safetensors",
    lambda: c.tensors(ClevrEncoder().tensors()),
    lambda folder: load_sentence_encoder(folder).encode(SENTENCES),
    infinite_vectors=save_tensors({**ClevrEncoder().tensors(), "mean": np.full(127, 1e38, np.float32)}),
)
model_file("README.md", lambda: [b"\x00", b"---\n- [" * 1000, b"# " * 10**6], no_text=b"\xff")

RESULTS = {"data": "x", "split": "test", "stories": 2, "seed": 0}
RESULTS["metrics"] = {"model": {"object_accuracy": {"mean": 0.5, "low": 0.4, "high": 0.6}}}
CARDS = ("foo: [1, 2", "- a", "model-index: 3", "a: &a [1]\nb: *a", "model-index: [{}]", "[" * 2000)
in_file(
    "model card, with results",
    "README.md",
    lambda folder: (
        [add_results(make_card(ModelConfig()), RESULTS).encode(), b"# A model\n"]
        + [f"---\n{matter}\n---\n# A model\n".encode() for matter in CARDS]
    ),
    lambda folder: add_results(read_card(folder / "README.md"), RESULTS),
)


def classifier_file(name: str, examples: Callable[[], Examples], **refused: bytes) -> None:
    """Register the reader of one file of a classifier folder."""

    def prepare(folder: Path) -> Iterator[bytes]:
        AttributeClassifier(["p", "q"], {"locations": True, "epochs": 1}).save(folder)
        yield from examples()

    def read(folder: Path) -> None:
        classifier = AttributeClassifier.load(folder)
        classifier.predict(np.zeros((1, 64, 64, 3), np.uint8))
        classifier.save(folder / "again")

    in_file(f"classifier {name}", name, prepare, read, **refused)


classifier_file(
    "classifier.json",
    lambda: c.jsons({"labels": ["p", "q"], "about": {"locations": True, "epochs": 1}, "architecture": "plain"}),
)
classifier_file(
    "classifier.safetensors",
    lambda: c.tensors(
        {n: t.half().numpy() for n, t in AttributeClassifier(["p", "q"]).state_dict().items() if t.dim()}
    ),
)


# ---- configurations ----

RUN = {
    "run": "r",
    "data": {"path": "d", "split": "train"},
    "sentence_encoder": "clevr",
    "model": {"variant": "svc", "T": 4, "noise_dim": 5},
    "aux_classifier": "",
    "stages": {
        "a": {"iterations": 10, "batch_size": 4, "ema": 0.5, "shards": [0], "C": {"loss": {"label": 1.0}}},
        "b": {"G": {"lr": 1e-3, "betas": [0.5, 0.9], "lr_schedule": "cosine", "loss": {"mse": 1.0, "aux": 0.1}}},
    },
}


@functools.cache
def train_parser() -> Parser:
    """Return the parser of `storygan train`."""
    parser = Parser(prog="storygan train")
    train_options(parser)
    return parser


@reader(
    "config.yaml",
    lambda folder: c.yamls(RUN),
    exploit=c.YAML_EXPLOIT,
    bomb=f"{c.YAML_BOMB}run: *a39\n".encode(),
    a_number=b"2:\n",
    nul_in_a_path=b'data: "\\0"\n',
    digits=b"data: " + b"1" * 5000 + b"\n",
    no_integer=b'seed: !!int ""\n',
    no_float=b'seed: !!float ""\n',
    no_time=b"run: !!timestamp x\n",
    no_truth=b"run: !!bool x\n",
    a_large_weight=b"stages: {a: {G: {loss: {mse: 1" + b"0" * 400 + b"}}}}\n",
    keys=b"".join(b"k%d: 1\n" % n for n in range(90_000)),
    value_of_a_network=b"stages: {a: {C: 5}}\n",
    data_is_null=b"run: r\ndata: null\n",
    loss_is_a_list=b"run: r\nstages: {a: {G: {loss: [x]}}}\n",
    no_text=b"\xff\xfe\x00",
)
def _(folder: Path, content: bytes) -> None:
    """Parse the options of `train`; the parser exits with 2 and prints a line."""
    write(folder / "config.yaml", content)
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr), contextlib.chdir(folder):
            values = train_parser().parse_args(["--config", str(folder / "config.yaml")]).as_dict()
            require_stages(values, values.pop("config", None))
            training_config(
                {name: value for name, value in values.items() if name not in ("resume", "from_stage", "logger")}
            )
    except SystemExit as end:
        if end.code != 2 or stderr.getvalue().count("\n") != 1:
            raise Finding(f"exit {end.code}: {stderr.getvalue()[:300]!r}") from end
        raise StoryganError(stderr.getvalue()[:-1]) from end


in_file(
    "runs.yaml",
    "runs.yaml",
    lambda folder: c.yamls({"a": {"stages.b.G.lr": 0.1}, "b": {"model.variant": "svc"}}),
    lambda folder: read_runs_file(str(folder / "runs.yaml"), TrainConfig.from_dict(RUN)),
    bomb=f"{c.YAML_BOMB}x: {{run: *a39}}\n".encode(),
    a_number=b"2:\n",
    no_name=b"\n?",
    no_integer=b'a: {seed: !!int ""}\n',
)


def compared_run(name: str, examples: Callable[[], Examples], **refused: bytes) -> None:
    """Register the reader of one file of a run folder that `storygan compare` resumes."""

    def prepare(folder: Path) -> Iterator[bytes]:
        write(folder / "config.yaml", yaml.safe_dump(TrainConfig.from_dict(RUN).to_dict()).encode())
        write(folder / "checkpoints/step-00000020.pt", b"")
        yield from examples()

    def read(folder: Path) -> None:
        run = Run(replace(TrainConfig.from_dict(RUN), run=str(folder)))
        for minutes in (0, 10**6):
            run.goal(minutes)

    in_file(f"compare {name}", name, prepare, read, **refused)


compared_run(
    "config.yaml",
    lambda: c.yamls(TrainConfig.from_dict(RUN).to_dict()),
    exploit=c.YAML_EXPLOIT,
    a_number=b"5",
    truncated=b"[",
    no_text=b"\xff",
    recursive=b"a: &a [*a]",
    deep=b"[" * 3000,
    stages_are_a_number=b"stages: 5",
    unknown=b"unknown: 1",
    value_is_a_mapping=b"run: r\ntimeout: {}\n",
)
compared_run(
    "rounds.json",
    lambda: [b"[[10, 5.25], [20, 0.001]]", *c.jsons([[20, 5.25]])],
    a_number=b"5",
    words=b'[["x", "y"]]',
    no_seconds=b"[[20, 0]]",
    no_number=b"[[20, NaN]]",
    less_than_0=b"[[-1, 5]]",
    one_value=b"[[1]]",
    no_text=b"\xff",
    deep=c.DEEP,
)


# ---- run folders ----


class SmallTrainer(StageTrainer):
    """A trainer of networks with 30 parameters, real optimizers and EMA weights."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        G, D_I, D_S = (nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)) for _ in range(3))
        self.config, self.name, self.k = TrainConfig(), "only", 3
        self.model: Any = G
        self.nets = Networks(G, D_I, D_S)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
            for name, network in self.nets.each().items()
        }
        self.penalties = {"D_I/r1": torch.tensor(0.5)}
        self.ema = AveragedModel(G, use_buffers=True)
        self.adversarial_ratio = AdversarialRatio(1.0, cast(Processes, None))

    def step(self) -> None:
        """Use all that a checkpoint holds, like an iteration."""
        for name, network in self.nets.each().items():
            network(torch.rand(8, 2, 5, 5)).square().mean().backward()
            self.optimizers[name].step()
            self.optimizers[name].zero_grad()
        assert self.ema is not None
        self.ema.update_parameters(self.model)


class NoStories:
    """The part of a data set that a run folder uses."""

    fingerprint = "x"

    def __len__(self) -> int:
        return 0


NO_STORIES: Any = NoStories()


@functools.cache
def small_trainer() -> SmallTrainer:
    """Return a trainer after one step."""
    trainer = SmallTrainer()
    trainer.step()
    return trainer


def checkpoint(**changes: Any) -> dict[str, Any]:
    """Return a checkpoint of the small trainer with other entries."""
    progress = {"step": 3, "data": "x", "seconds": 1.0, "best": None}
    return {**copy.deepcopy(small_trainer().state_dict()), **progress, **changes}


def with_moments(**changes: Any) -> bytes:
    """Return a checkpoint file with other moments of the generator's first parameter; None: without it."""
    state = checkpoint()
    moments = state["G_adam"]["state"][0] | changes
    state["G_adam"]["state"][0] = {name: value for name, value in moments.items() if value is not None}
    return c.torch_file(state)


def checkpoints(folder: Path) -> Iterator[bytes]:
    """Yield checkpoint files."""
    yield save_checkpoint(folder / "valid", 3, checkpoint(), keep=1).read_bytes()
    values = (None, 5, "x", [], torch.zeros(2, 3), -1, 2**63, True)
    yield from (c.torch_file(checkpoint(**{name: value})) for name in checkpoint() for value in values)
    adam = checkpoint()["G_adam"]
    yield from (c.torch_file(checkpoint(G_adam=other)) for other in c.grafted(adam, values))
    shape = adam["state"][0]["exp_avg"].shape
    for value in (torch.full(shape, -1.0), torch.full(shape, np.inf), torch.zeros(1).expand(shape), torch.zeros(10**6)):
        yield with_moments(exp_avg_sq=value)
    yield from (with_moments(step=torch.tensor(value)) for value in (-1.0, 0.0, np.nan))
    yield c.torch_zip(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
    yield c.torch_zip(c.HASH_BOMB, **{f"../../..{c.PLANTED}": b"x"})


@reader(
    "checkpoint",
    checkpoints,
    exploit=c.torch_zip(c.EXPLOIT),
    zip_bomb=c.torch_zip(pickle.dumps({"step": 1}, 2), zipfile.ZIP_DEFLATED, **{"archive/data/0": bytes(3 * 10**7)}),
)
def _(folder: Path, content: bytes) -> None:
    write(folder / "checkpoints/step-00000003.pt", content)
    load_checkpoint(folder / "checkpoints/step-00000003.pt")
    with contextlib.redirect_stderr(io.StringIO()):
        newest_checkpoint(folder / "checkpoints")


ENTRIES: dict[str, dict[str, Any]] = {
    "network_is_a_number": {"G": 5},
    "adam_is_a_number": {"G_adam": 5},
    "adam_is_a_tensor": {"G_adam": torch.zeros(2)},
    "stage_is_a_number": {"stage": 5},
    "another_stage": {"stage": "other"},
    "another_iteration": {"k": 2},
    "data_is_a_number": {"data": 5},
    "seconds_are_a_word": {"seconds": "x"},
    "best_is_a_tensor": {"best": torch.zeros(2)},
    "huge_step": {"step": 10**30},
}


@reader(
    "checkpoint with right checksums",
    checkpoints,
    **{name: c.torch_file(checkpoint(**changes)) for name, changes in ENTRIES.items()},
    no_moment=with_moments(exp_avg=None),
    moments_of_another_shape=with_moments(exp_avg=torch.zeros(1)),
    moments_of_another_type=with_moments(exp_avg=torch.zeros(3, 2, 2, 2, dtype=torch.float64)),
)
def _(folder: Path, content: bytes) -> None:
    """Resume a run."""
    write(folder / "config.yaml", b"")
    write(folder / "checkpoints/step-00000003.pt", c.with_right_checksums(content))
    stage = StageConfig(iterations=3, G=GeneratorConfig(loss=GeneratorLoss(mse=1)))
    config = TrainConfig(run=str(folder), stages={"only": stage})
    with contextlib.redirect_stderr(io.StringIO()), RunFolder(config, resume=True, dataset=NO_STORIES) as run:
        assert run.checkpoint is not None
        small_trainer().load_state_dict(run.checkpoint)
        small_trainer().step()


def metrics(folder: Path) -> Iterator[bytes]:
    """Yield metrics.jsonl."""
    line = {"step": 1, "stage": 1, "G/L_KL": 17.77, "D_I/L_image": 3}
    yield b"".join(json.dumps({**line, "step": n}).encode() + b"\n" for n in range(1, 4))
    yield from (content + b"\n" for content in c.jsons(line))
    yield from (b"", b'{"step": 1, "G/L_KL"', b"\x00\n", b"\n\n")


@reader("metrics.jsonl", metrics, a_number=b"5\n", no_step=b"{}\n", no_text=b"\xff\n", deep=c.DEEP + b"\n")
def _(folder: Path, content: bytes) -> None:
    """Draw the curves of a comparison, and truncate as a resumed run does."""
    write(folder / "metrics.jsonl", content)
    ElementTree.fromstring(draw_curves({"a": [read_curves(folder / "metrics.jsonl")]}))
    truncate_metrics(folder / "metrics.jsonl", 2)
