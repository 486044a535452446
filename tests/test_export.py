"""A model as an ONNX graph: the same frames as PyTorch's, at any batch size, with onnxruntime and numpy alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from storygan import export
from storygan.cli import main
from storygan.config import VARIANTS, ModelConfig, NoiseDistribution, Variant
from storygan.errors import StoryganError, UsageError
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import LABELS
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import DIM
from storygan.text.minilm_encoder import MiniLMEncoder

EXAMPLE = Path(__file__).parents[1] / "examples/generate_onnx.py"
STORY = [
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "Large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2, -0.6)",
]


def lively(
    variant: Variant = "storygan", T: int = 4, noise_dim: int = 7, noise: NoiseDistribution = "normal"
) -> StoryGAN:
    """A model whose running statistics fit its activations, as after training, and whose frames have contrast."""
    torch.manual_seed(1)
    model = StoryGAN(ModelConfig(variant, T, noise_dim, noise), ClevrEncoder())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    nn.init.normal_(model.image_generator[4].weight, 0, 0.05)
    nn.init.normal_(model.image_generator[4].bias, 0, 0.3)
    with torch.no_grad():
        model.train()(torch.randn(16, T, DIM), Noise.sample(16, model.config, torch.Generator().manual_seed(0)))
    return model.eval()


# ---- metadata and errors, without tracing ----


def test_metadata_makes_sentence_vectors() -> None:
    model = lively()
    metadata = {name: json.loads(text) for name, text in export.metadata(model).items()}
    assert metadata["config"] == {"variant": "storygan", "T": 4, "noise_dim": 7, "noise": "normal", "image_size": 64}
    encoder = metadata["sentence_encoder"]
    one_hots = [word in STORY[0].split() for word in encoder["words"]]
    x, y = -1.8 / encoder["limit"], 1.5 / encoder["limit"]

    def bumps(value: float, kind: str) -> np.ndarray:
        n, width = encoder["bumps"][kind]
        return np.exp(-0.5 * ((value - np.linspace(-1, 1, n)) / (width * 2 / (n - 1))) ** 2)

    grid = np.outer(bumps(x, "grid"), bumps(y, "grid")).ravel()
    features = np.concatenate([one_hots, [x, y], grid, bumps(x, "axis"), bumps(y, "axis")])
    s_t = (features - encoder["mean"]) / encoder["std"] @ encoder["projection"]
    np.testing.assert_allclose(s_t, model.encode([STORY])[0, 0], atol=1e-6)


def test_metadata_of_plain_english_and_of_no_encoder() -> None:
    model = StoryGAN(ModelConfig(T=1), MiniLMEncoder("abc", np.zeros(384, np.float32), np.ones((384, DIM), np.float32)))
    encoder = json.loads(export.metadata(model)["sentence_encoder"])
    assert (encoder["kind"], encoder["weights_sha256"]) == ("sentence", "abc")
    assert np.shape(encoder["projection"]) == (384, DIM)
    model.sentence_encoder = None
    assert set(export.metadata(model)) == {"config"}


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder .*nowhere"):
        export.check_graph_file(tmp_path / "nowhere" / "a.onnx")
    with pytest.raises(UsageError, match="it is a folder"):
        export.check_graph_file(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["clevr-sv"], 2, "--onnx"),
        (["clevr-sv", "--onnx", "--out", "nowhere/a.onnx"], 2, "no folder nowhere"),
        (["nothing", "--onnx"], 2, "no model 'nothing'"),
    ],
)
def test_bad_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(["export", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


# ---- graphs: each takes seconds to trace ----


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of `lively()`, of the paper's model."""
    path = tmp_path_factory.mktemp("graph") / "lively.onnx"
    assert export.export_onnx(lively(), path) < 1e-4
    return path


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_equals_pytorch(variant: Variant, tmp_path: Path) -> None:
    import onnxruntime

    model = lively(variant, T=3)
    export.export_onnx(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert [i.name for i in session.get_inputs()] == ["S", "eps_0", "eps", "g_0"]
    for B in (1, 2, 13):
        S, noise = torch.randn(B, 3, 128), Noise.sample(B, model.config, torch.Generator().manual_seed(B))
        inputs = {"S": S, "eps_0": noise.eps_0, "eps": noise.eps, "g_0": noise.g_0}
        X_hat, frames = session.run(["X_hat", "frames"], {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.no_grad():
            expected = model(S, noise)[0].numpy()
        assert expected.std() > 0.1
        np.testing.assert_allclose(X_hat, expected, atol=1e-4)
        assert np.abs(frames.astype(int) - model.sample(S, noise)).max() <= 1


@pytest.mark.slow
def test_the_graph_puts_normal_noise_on_a_circle(tmp_path: Path) -> None:
    import onnxruntime

    model = lively(noise_dim=6, noise="circle")
    export.export_onnx(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    S, normal = torch.randn(3, 4, 128), Noise.sample(3, ModelConfig(noise_dim=6), torch.Generator().manual_seed(0))
    inputs = {"S": S, "eps_0": normal.eps_0, "eps": normal.eps, "g_0": normal.g_0}
    (X_hat,) = session.run(["X_hat"], {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        expected, as_given = (
            model(S, noise)[0].numpy()
            for noise in (Noise.sample(3, model.config, torch.Generator().manual_seed(0)), normal)
        )
    np.testing.assert_allclose(X_hat, expected, atol=1e-4)
    assert np.abs(X_hat - as_given).max() > 1e-2


@pytest.mark.slow
def test_the_graph_is_one_plain_file(graph: Path) -> None:
    import onnx

    assert [path.name for path in graph.parent.iterdir()] == [graph.name]
    proto = onnx.load(graph, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    operators = {node.op_type for node in proto.graph.node}
    assert "BatchNormalization" not in operators
    assert {node.domain for node in proto.graph.node} == {""}
    assert str(Path(export.__file__).parents[2]).encode() not in graph.read_bytes()  # no paths of this machine


@pytest.mark.slow
def test_another_models_graph_is_refused(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = lively()
    other.image_generator[4].bias.data += 1e-3
    (tmp_path / "b.onnx").write_bytes(b"what was here before")
    monkeypatch.setattr(export, "write_graph", lambda model, path: path.write_bytes(graph.read_bytes()))
    with pytest.raises(StoryganError, match="the graph differs from PyTorch by 0"):
        export.export_onnx(other, tmp_path / "b.onnx")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("b.onnx", b"what was here before")]


@pytest.mark.slow
def test_the_example_needs_numpy_and_onnxruntime_alone(graph: Path, tmp_path: Path) -> None:
    picture = tmp_path / "story.png"
    code = (
        f"import runpy, sys; sys.argv[0] = {str(EXAMPLE)!r}; runpy.run_path(sys.argv[0])\n"
        "assert not {'torch', 'storygan', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, graph, picture, *STORY], check=True)
    model, rng = lively(), np.random.default_rng(7)
    rng.standard_normal((4, 4, 128), dtype=np.float32)
    eps_0, eps, g_0 = (
        torch.from_numpy(rng.standard_normal((4, *shape), dtype=np.float32)) for shape in ((128,), (4, 7), (128,))
    )
    S = torch.from_numpy(model.encode([STORY])).repeat(4, 1, 1)
    frames = model.sample(S, Noise(eps_0, eps, g_0))  # (4, 4, 64, 64, 3)
    expected = frames.swapaxes(1, 2).reshape(4 * 64, 4 * 64, 3)
    assert np.abs(np.asarray(Image.open(picture)).astype(int) - expected).max() <= 1
    assert expected.std() > 20


def test_the_example_is_short() -> None:
    after_docstring = EXAMPLE.read_text().split('"""\n', 2)[-1]
    assert len([line for line in after_docstring.splitlines() if line.strip()]) <= 26


@pytest.mark.parametrize("sentence", ["tiny grey rubber cube at (1, 2)", "large red metallic cube at (1, 2)"])
def test_the_example_requires_one_word_per_attribute(sentence: str) -> None:
    names = {
        "re": re,
        "np": np,
        "encoder": {"words": LABELS, "limit": 3, "bumps": {"grid": (8, 0.7), "axis": (23, 1.0)}},
        "mean": np.zeros(17),
        "std": 1,
        "projection": np.eye(17),
    }
    tree = ast.parse(EXAMPLE.read_text())
    functions: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    exec(compile(ast.Module(functions, []), EXAMPLE, "exec"), names)
    facts = names["vector"]("Large, red, metal, cube, (1.5, -3)")  # type: ignore[operator]
    assert [LABELS[n] for n in np.flatnonzero(facts[:15])] == ["cube", "red", "metal", "large"]
    assert facts[15:].tolist() == [0.5, -1]
    with pytest.raises(AssertionError, match=re.escape(f"one of each: {sentence}")):
        names["vector"](sentence)  # type: ignore[operator]


@pytest.mark.slow
def test_the_command_names_the_file_after_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "clevr-sv", "--onnx"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["clevr-sv.onnx"]
    assert "of PyTorch" in capsys.readouterr().out
