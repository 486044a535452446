"""The nuisance column of Toon-SV: how a story is staged."""

from __future__ import annotations

import numpy as np

from storygan.data.nuisance import choice_values
from storygan.data.schema import NuisanceColumns
from storygan.data.toon.scenery import PATTERNS, SETS, Staging

COLUMNS = NuisanceColumns(story=("set of the place", "mirror", "pattern of rain or snow"), foreground=True)
CHOICES = (SETS, 2, PATTERNS)
"""Number of choices of each value."""


def sample_staging(rng: np.random.Generator) -> tuple[Staging, list[float]]:
    """Sample the staging of a story, and return it with its standard normal values."""
    choices = [int(rng.integers(count)) for count in CHOICES]
    return Staging(choices[0], bool(choices[1]), choices[2]), choice_values(choices, CHOICES, rng)
