"""The nuisance values of Toon-SV are those of `draw_story`."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from storygan.data.toon import scenery
from storygan.data.toon.language import write_story
from storygan.data.toon.nuisance import COLUMNS, story_nuisance
from storygan.data.toon.render import render_story
from storygan.data.toon.world import PLACES, sample_story


def uniform(place: str, seed: int) -> dict[str, float]:
    assert COLUMNS.story is not None
    values = story_nuisance(place, np.random.default_rng(seed))
    return dict(zip(COLUMNS.story, norm.cdf(values).tolist(), strict=True))


def boxes(place: str, seed: int) -> scenery.Boxes:
    """Return the scenery that `draw_story` draws with a generator of this seed."""
    story = np.random.default_rng(int(np.random.default_rng(seed).integers(2**31)))
    return scenery._SCENERY[place](np.random.default_rng(story.integers(2**31, size=2)[1]))


def test_values_place_the_scenery() -> None:
    for seed in range(8):
        village = boxes("village", seed)  # four houses, then the fountain
        for k in range(4):
            x = (k + 0.5) / 4 + (uniform("village", seed)[f"scenery {k + 1}"] - 0.5) / 2 / 4
            assert abs(village[k][1] - x) < 1e-5
            wheat = (k + 0.5) / 9 + (uniform("farm", seed)[f"scenery {k + 2}"] - 0.5) / 2 / 9
            assert abs(boxes("farm", seed)[k][1] - wheat) < 1e-5
        assert abs(village[4][1] - (0.4 + 0.2 * uniform("village", seed)["scenery 9"])) < 1e-5
        for place, index, left, value in (("meadow", 0, 0.16, "scenery 1"), ("farm", 9, 0.16, "scenery 1")):
            assert (boxes(place, seed)[index][1] == left) == (uniform(place, seed)[value] < 0.5), (place, seed)


def test_values_set_the_heights() -> None:
    rng = np.random.default_rng(5)
    rng.integers(2**31)  # as in `draw_story`
    heights = rng.uniform(0.94, 1.06, 9)
    assert abs(heights[0] - (0.94 + 0.12 * uniform("farm", 5)["height of the fox"])) < 1e-6
    assert abs(heights[8] - (0.94 + 0.12 * uniform("farm", 5)["height of the unicorn"])) < 1e-6


def test_values_are_standard_normal() -> None:
    values = np.array([story_nuisance(PLACES[n % 8], np.random.default_rng(n)) for n in range(800)])
    assert values.shape == (800, 35)
    assert np.abs(values.mean(0)).max() < 4.5 / 800**0.5
    assert np.abs(values.std(0) - 1).max() < 4.5 / 1600**0.5


def test_story_has_the_values_of_its_frames() -> None:
    story = render_story("train", 2, seed=1, T=2, size=32)
    rng = np.random.default_rng([1, 0, 2])
    scenes = sample_story(rng, 2)
    write_story(scenes, rng)
    assert story.story_nuisance == story_nuisance(scenes[0].place, rng)
    assert story.frame_nuisance is None
    assert story.foreground is not None
    assert len(story.foreground) == 2
