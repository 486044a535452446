"""The nuisance values of Toon-SV are those of `draw_story`, and nothing else moves."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from storygan.data.images import decode_frame, decode_mask
from storygan.data.toon.art import draw_story
from storygan.data.toon.language import write_story
from storygan.data.toon.nuisance import CHOICES, COLUMNS, sample_staging
from storygan.data.toon.render import render_story
from storygan.data.toon.scenery import Staging
from storygan.data.toon.world import sample_story


def staging_of(values: list[float]) -> Staging:
    """Return the staging that the values name, by the formula of the card."""
    index, mirror, pattern = (int(norm.cdf(value) * n) for value, n in zip(values, (3, 2, 3), strict=True))
    return Staging(index, bool(mirror), pattern)


def test_values_name_the_staging() -> None:
    seen = set()
    for seed in range(200):
        staging, values = sample_staging(np.random.default_rng(seed))
        assert staging_of(values) == staging
        seen.add(staging)
    assert len(seen) == 18
    assert CHOICES == (3, 2, 3)
    assert COLUMNS.story == ("set of the place", "mirror", "pattern of rain or snow")


def test_values_are_standard_normal() -> None:
    values = np.array([sample_staging(np.random.default_rng(n))[1] for n in range(800)])
    assert values.shape == (800, 3)
    assert np.abs(values.mean(0)).max() < 4.5 / 800**0.5
    assert np.abs(values.std(0) - 1).max() < 4.5 / 1600**0.5
    assert np.abs(np.corrcoef(values.T) - np.eye(3)).max() < 4.5 / 800**0.5


def test_scenes_and_values_determine_every_pixel() -> None:
    story = render_story("train", 2, seed=1, T=2, size=32)
    rng = np.random.default_rng([1, 0, 2])
    scenes = sample_story(rng, 2)
    assert write_story(scenes, rng) == story.sentences
    assert story.story_nuisance is not None
    assert story.frame_nuisance is None
    assert story.foreground is not None
    pictures = draw_story(scenes, staging_of(story.story_nuisance), 32)
    assert all(np.array_equal(decode_frame(f), p) for f, (p, _) in zip(story.frames, pictures, strict=True))
    assert all(np.array_equal(decode_mask(m), p) for m, (_, p) in zip(story.foreground, pictures, strict=True))
