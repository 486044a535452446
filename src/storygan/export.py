"""A model as one ONNX graph, checked against PyTorch, with what its sentences need in the graph's metadata.

Inputs, float32, B stories of T sentences: `S` (B, T, 128) sentence vectors; standard normal noise `eps_0` (B, 128),
`eps` (B, T, noise_dim), `g_0` (B, 128). Outputs: `X_hat` (B, T, 3, 64, 64) in [-1, 1], and `frames`, the same as uint8
(B, T, 64, 64, 3). Every variant of the model has this one signature; one whose noise lies on circles puts `eps` there.

Metadata, two JSON objects: `config`, the fields of `ModelConfig`; `sentence_encoder`, its kind, settings and arrays,
and for `clevr` also the words in the order of its one-hots. `examples/draw_onnx.py` makes sentence vectors from it.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from storygan.errors import StoryganError, UsageError
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.noise import Noise, on_circle
from storygan.models.storygan import StoryGAN, to_frames
from storygan.text.clevr import LABELS, LIMIT
from storygan.text.encoder import DIM

INPUTS, OUTPUTS = ("S", "eps_0", "eps", "g_0"), ("X_hat", "frames")
TOLERANCE = 1e-4
"""How far `X_hat`, in [-1, 1], may be from PyTorch's."""
CHECKED = (1, 3, 8)
"""Batch sizes, other than the traced one, at which the graph is compared with PyTorch."""


class Graph(nn.Module):
    """The model as a function of tensors alone."""

    def __init__(self, model: StoryGAN) -> None:
        super().__init__()
        self.model = model

    def forward(self, S: Tensor, eps_0: Tensor, eps: Tensor, g_0: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and outputs as in the module's docstring."""
        if self.model.config.noise == "circle":
            eps = on_circle(eps)
        X_hat, *_ = self.model(S, Noise(eps_0, eps, g_0))
        return X_hat, to_frames(X_hat)


def export_onnx(model: StoryGAN, out: str | Path) -> float:
    """Write the graph, whole or not at all.

    Args:
        model: any variant; its sentence encoder's arrays go along, where it has one.
        out: the file to write, replaced where it exists.

    Returns:
        The largest difference of `X_hat` from PyTorch's, over the batch sizes of `CHECKED`.

    Raises:
        UsageError: where `out` cannot be a file.
        StoryganError: where the graph differs from PyTorch by more than `TOLERANCE`.
    """
    out = Path(out)
    check_graph_file(out)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as scratch:
        whole = Path(scratch) / out.name
        write_graph(model, whole)
        difference = check_graph(model, whole)
        whole.replace(out)
    return difference


def check_graph_file(out: Path) -> None:
    """Before the work that takes long: UsageError where `out` cannot be written, ImportError without the extra."""
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401

    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder")


def write_graph(model: StoryGAN, path: Path) -> None:
    """Trace the folded model at B = 2, with B left open, and save it with the metadata in one file."""
    B = torch.export.Dim("B")
    with quiet():
        program = torch.onnx.export(
            Graph(fuse_batch_norm(model)),
            tuple(map(torch.from_numpy, random_inputs(model, 2).values())),
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_shapes={name: {0: B} for name in INPUTS},
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # so it is with dynamo=True
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    program.model.metadata_props.update(metadata(model))
    program.save(path)


@contextmanager
def quiet() -> Iterator[None]:
    """No word from the exporter on what is not ours to change: deprecations within it, absent packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def metadata(model: StoryGAN) -> dict[str, str]:
    """What the graph says of itself: strings by name."""
    found: dict[str, Any] = {"config": asdict(model.config)}
    encoder = model.sentence_encoder
    if encoder is not None:
        arrays = {name: array.tolist() for name, array in encoder.tensors().items()}
        grammar = {"words": LABELS, "limit": LIMIT} if encoder.kind == "clevr" else {}
        found["sentence_encoder"] = {"kind": encoder.kind, **encoder.settings(), **grammar, **arrays}
    return {name: json.dumps(value) for name, value in found.items()}


def check_graph(model: StoryGAN, path: Path) -> float:
    """The largest difference of the graph's `X_hat` from PyTorch's; StoryganError where it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    original, worst = Graph(model).eval(), 0.0
    for B in CHECKED:
        inputs = random_inputs(model, B)
        with torch.no_grad():
            X_hat, frames = (output.numpy() for output in original(*map(torch.from_numpy, inputs.values())))
        drawn_X_hat, drawn_frames = session.run(OUTPUTS, inputs)
        difference = float(np.abs(drawn_X_hat - X_hat).max())
        levels = int(np.abs(drawn_frames.astype(int) - frames).max())
        if not (difference <= TOLERANCE and levels <= 1):
            raise StoryganError(
                f"the graph is not the model: at {B} stories it differs from PyTorch by {difference:.2g} "
                f"({levels} of 255 levels; at most {TOLERANCE:g} is allowed), so nothing was written"
            )
        worst = max(worst, difference)
    return worst


def random_inputs(model: StoryGAN, B: int) -> dict[str, np.ndarray]:
    """Standard normal inputs for B stories, the same every time."""
    config, generator = model.config, torch.Generator().manual_seed(B)
    noise = Noise.sample(B, config, generator)
    S = torch.randn(B, config.T, DIM, generator=generator)
    return {name: t.numpy() for name, t in zip(INPUTS, (S, noise.eps_0, noise.eps, noise.g_0), strict=True)}
