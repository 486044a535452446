"""Export of a model as one ONNX graph, which is checked against PyTorch.

Inputs, float32, for B stories: sentence vectors `S` (B, T, 128), and standard normal noise `eps_0` (B, 128), `eps`
(B, T, noise_dim) and `g_0` (B, 128). Outputs: `X_hat` (B, T, 3, 64, 64) in [-1, 1], and `frames`, uint8
(B, T, 64, 64, 3). All variants have this signature. With the noise distribution `circle`, the graph moves `eps` there.

Metadata: two JSON objects. `config` has the fields of `ModelConfig`. `sentence_encoder` has the encoder's kind,
settings and arrays; for `clevr` also the words in the order of its one-hots, and the numbers and widths of the bumps of
its position code. `examples/generate_onnx.py` encodes sentences with it.
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
from storygan.models.inference import to_frames
from storygan.models.noise import Noise, on_circle
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import LABELS, LIMIT
from storygan.text.clevr_encoder import AXIS, AXIS_WIDTH, GRID, GRID_WIDTH
from storygan.text.encoder import DIM

INPUTS, OUTPUTS = ("S", "eps_0", "eps", "g_0"), ("X_hat", "frames")
TOLERANCE = 1e-4
"""Largest allowed difference of `X_hat`, in [-1, 1], from PyTorch's."""
CHECKED = (1, 3, 8)
"""Batch sizes at which the graph is compared with PyTorch; it is traced at 2."""


class Graph(nn.Module):
    """A model as a function of tensors."""

    def __init__(self, model: StoryGAN) -> None:
        super().__init__()
        self.model = model

    def forward(self, S: Tensor, eps_0: Tensor, eps: Tensor, g_0: Tensor) -> tuple[Tensor, Tensor]:
        """Generate `X_hat` and `frames` (module docstring)."""
        if self.model.config.noise == "circle":
            eps = on_circle(eps)
        X_hat, *_ = self.model(S, Noise(eps_0, eps, g_0))
        return X_hat, to_frames(X_hat)


def export_onnx(model: StoryGAN, out: str | Path) -> float:
    """Export a model to an ONNX file, which is written only after the check.

    Args:
        model: any variant; the arrays of its sentence encoder, if any, go into the metadata.
        out: file to write; an existing one is replaced.

    Returns:
        The largest difference of `X_hat` from PyTorch's, over the batch sizes in `CHECKED`.

    Raises:
        UsageError: `out` is a folder, or in none.
        StoryganError: the graph differs from PyTorch by more than `TOLERANCE`.
        ImportError: onnxruntime or onnxscript is not installed.
    """
    out = Path(out)
    check_graph_file(out)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as scratch:
        temporary = Path(scratch) / out.name
        write_graph(model, temporary)
        difference = check_graph(model, temporary)
        temporary.replace(out)
    return difference


def check_graph_file(out: Path) -> None:
    """Raise UsageError if `out` cannot be written, ImportError if a library is missing."""
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401

    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder")


def write_graph(model: StoryGAN, path: Path) -> None:
    """Trace the model with fused batch norm at B = 2, with a dynamic B, and save it with its metadata in one file."""
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
    assert program is not None  # with dynamo=True
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    program.model.metadata_props.update(metadata(model))
    program.save(path)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's warnings about its own deprecations and about optional packages."""
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
    """Return the graph's metadata, JSON by name (module docstring)."""
    values: dict[str, Any] = {"config": asdict(model.config)}
    encoder = model.sentence_encoder
    if encoder is not None:
        arrays = {name: array.tolist() for name, array in encoder.tensors().items()}
        bumps = {"grid": (GRID, GRID_WIDTH), "axis": (AXIS, AXIS_WIDTH)}
        grammar = {"words": LABELS, "limit": LIMIT, "bumps": bumps} if encoder.kind == "clevr" else {}
        values["sentence_encoder"] = {"kind": encoder.kind, **encoder.settings(), **grammar, **arrays}
    return {name: json.dumps(value) for name, value in values.items()}


def check_graph(model: StoryGAN, path: Path) -> float:
    """Return the largest difference of the graph's `X_hat` from PyTorch's. Raise StoryganError if it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    original, worst = Graph(model).eval(), 0.0
    for B in CHECKED:
        inputs = random_inputs(model, B)
        with torch.no_grad():
            X_hat, frames = (output.numpy() for output in original(*map(torch.from_numpy, inputs.values())))
        graph_X_hat, graph_frames = session.run(OUTPUTS, inputs)
        difference = float(np.abs(graph_X_hat - X_hat).max())
        levels = int(np.abs(graph_frames.astype(int) - frames).max())
        if not (difference <= TOLERANCE and levels <= 1):
            raise StoryganError(
                f"the graph differs from PyTorch by {difference:.2g} for {B} stories ({levels} of 255 levels; at most "
                f"{TOLERANCE:g} is allowed): nothing was written"
            )
        worst = max(worst, difference)
    return worst


def random_inputs(model: StoryGAN, B: int) -> dict[str, np.ndarray]:
    """Return standard normal inputs for B stories, the same every time."""
    config, generator = model.config, torch.Generator().manual_seed(B)
    noise = Noise.sample(B, config, generator)
    S = torch.randn(B, config.T, DIM, generator=generator)
    return {name: t.numpy() for name, t in zip(INPUTS, (S, noise.eps_0, noise.eps, noise.g_0), strict=True)}
