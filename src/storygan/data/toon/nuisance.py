"""The nuisance columns of Toon-SV: what places the scenery and sets the characters' heights. No pixels."""

from __future__ import annotations

import numpy as np

from storygan.data.nuisance import normal_values
from storygan.data.schema import NuisanceColumns
from storygan.data.toon.world import CAST

SKY_VALUES, SUN, CLOUDS = 34, 0, 33
"""Uniform values that place what is in the sky; of these, sun or moon and the clouds. The others are stars."""
PLACE_VALUES = 24
"""Uniform values that place scenery, at most; a place that uses fewer leaves the others without meaning."""
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
    """Give 35 standard normal values of a story; `rng` is a copy of the generator that `draw_story` takes."""
    scenery, heights = np.random.default_rng(int(rng.integers(2**31))), rng.random(len(CAST))
    sky_seed, place_seed = scenery.integers(2**31, size=2)
    sky = np.random.default_rng(sky_seed).random(SKY_VALUES)
    placed = np.random.default_rng(place_seed).random(PLACE_VALUES)
    if place == "farm":  # its first value is a choice of two sides
        placed[0] = (np.random.default_rng(place_seed).choice([0, 1]) + placed[0]) / 2
    return normal_values([sky[SUN], sky[CLOUDS], *placed, *heights])
