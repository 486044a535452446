"""Data sets for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storygan.data.sample import write_sample


@pytest.fixture(scope="session")
def data(make_dataset: Callable[..., Path]) -> Path:
    """Eight labelled stories of two frames."""
    return make_dataset(stories=8, T=2)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped sample: 48 training stories of four frames."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder
