"""Settings for every test, a tiny data set, and what is not everywhere: Blender, the official sample."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported, as the command line does

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from storygan.data.clevr.blender import render_python
from storygan.data.images import encode_png
from storygan.data.sample import write_sample
from storygan.data.schema import Story, shard_name, write_shard
from storygan.errors import StoryganError
from storygan.text.clevr import COLOURS, LABELS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence, presence_labels

settings.register_profile("storygan", deadline=None)  # a machine at work is not a failure
settings.load_profile("storygan")


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Training and evaluating flush them for the whole process; Hypothesis, which may come next, wants them."""
    yield
    torch.set_flush_denormal(False)


def tiny_story(number: int, T: int = 4) -> Story:
    """Return a random CLEVR-SV story whose frames show one square per object."""
    rng = np.random.default_rng((7, number))
    objects, frames = [], []
    frame = np.full((64, 64, 3), 128, dtype=np.uint8)
    for _ in range(T):
        x, y = rng.uniform(-3, 3, 2).round(2)
        attributes = [str(rng.choice(names)) for names in (SHAPES, COLOURS, MATERIALS, SIZES)]
        objects.append(ClevrObject(*attributes, x=float(x), y=float(y)))
        row, column = int(32 - 8 * x), int(32 + 8 * y)
        frame[row : row + 8, column : column + 8] = rng.integers(0, 256, 3)
        frames.append(encode_png(Image.fromarray(frame)))
    return Story(f"tiny-{number:03d}", [format_sentence(o) for o in objects], frames, presence_labels(objects))


@pytest.fixture(scope="session")
def make_dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a labelled training split: `make_dataset(stories=8, T=4)`."""

    def make(stories: int, T: int = 4) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        write_shard(folder / shard_name("train", 0, 1), [tiny_story(n, T) for n in range(stories)], LABELS)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_dataset(make_dataset: Callable[..., Path]) -> Path:
    """Return a data set of eight stories of four frames, with labels."""
    return make_dataset(stories=8)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shipped sample: 48 training and 16 test stories; the shipped classifier did not see the latter."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def blender() -> None:
    """Skip the test where there is no Blender."""
    try:
        found = subprocess.run([render_python(), "-c", "import bpy"], capture_output=True).returncode == 0
    except StoryganError:
        found = False
    if not found:
        pytest.skip("no render environment: make render-env")


@pytest.fixture(scope="session")
def official() -> Path:
    """Return the folder of the official CLEVR-SV sample, which is not part of the project, or skip the test."""
    folder = Path(__file__).parents[2] / "shared" / "clevr-sv-official"
    if not folder.is_dir():
        pytest.skip("the official sample of CLEVR-SV is not part of the project")
    return folder
