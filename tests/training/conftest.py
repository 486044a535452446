"""Data sets for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data(make_dataset: Callable[..., Path]) -> Path:
    """Eight labelled stories of two frames."""
    return make_dataset(stories=8, T=2)
