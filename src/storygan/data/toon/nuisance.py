"""The nuisance columns of Toon-SV: the values that place the scenery and set the characters' heights."""

from __future__ import annotations

import numpy as np

from storygan.data.nuisance import normal_values
from storygan.data.schema import NuisanceColumns
from storygan.data.toon.world import CAST

SKY_VALUES, SUN, CLOUDS = 34, 0, 33
"""Number of uniform values that place stars, sun or moon and clouds; indices of sun or moon, and of the clouds."""
PLACE_VALUES = 24
"""Largest number of uniform values that place scenery; where a place uses fewer, the others have no effect."""
COLUMNS = NuisanceColumns(
    story=(
        "sun or moon x",
        "clouds x",
        *(f"scenery {k + 1}" for k in range(PLACE_VALUES)),
        *(f"height of the {character.species}" for character in CAST),
    ),
    foreground=True,
)


def story_nuisance(place: str, rng: np.random.Generator) -> list[float]:
    """Return the 35 standard normal values of a story; `rng` is a copy of the generator passed to `draw_story`."""
    scenery, heights = np.random.default_rng(int(rng.integers(2**31))), rng.random(len(CAST))
    sky_seed, place_seed = scenery.integers(2**31, size=2)
    sky = np.random.default_rng(sky_seed).random(SKY_VALUES)
    placement = np.random.default_rng(place_seed).random(PLACE_VALUES)
    if place == "farm":  # its first value is a choice of two sides
        placement[0] = (np.random.default_rng(place_seed).choice([0, 1]) + placement[0]) / 2
    return normal_values([sky[SUN], sky[CLOUDS], *placement, *heights])
