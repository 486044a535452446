"""Attribution: no frame depends on a later sentence, and each variant has its own sources."""

import json
import re
from functools import cache

import numpy as np
from tests.editing.conftest import MODELS, STORY

from storygan import editing
from storygan.config import Variant
from storygan.models.output import generate_from_noise
from storygan.models.storygan import StoryGAN
from storygan.viz import sheet


@cache
def attribution_of(variant: Variant) -> editing.Attribution:
    return editing.attribute(MODELS[variant], MODELS[variant].generate(STORY, seed=7))


SOURCES: dict[Variant, int] = {"storygan": 9, "imagegan": 7, "svc": 7, "svfn": 9}


def amounts(attribution: editing.Attribution, pattern: str) -> np.ndarray:
    """Return the amounts of the only source that matches the pattern."""
    (row,) = [k for k, source in enumerate(attribution.sources) if re.search(pattern, source)]
    return attribution.amounts[row]


def test_no_frame_depends_on_a_later_sentence(model: StoryGAN) -> None:
    variant = model.config.variant
    attribution = attribution_of(variant)
    assert len(attribution.sources) == SOURCES[variant]
    assert attribution.maps.shape == (SOURCES[variant], 4, 64, 64)
    expected = np.eye(4, dtype=bool) if variant == "imagegan" else np.triu(np.ones((4, 4), bool))
    assert np.array_equal(attribution.amounts[:4] > 0, expected)
    for source in ("h_0 = 0", "h_0 resampled", "eps_t"):
        assert (amounts(attribution, source) > 0).all()


def test_filter_share(model: StoryGAN) -> None:
    attribution = attribution_of(model.config.variant)
    share = attribution.filter_share
    if model.config.variant in ("imagegan", "svc"):
        assert share is None
        return
    assert share is not None
    assert (amounts(attribution, "Filter") > 0).all()
    if model.config.variant == "svfn":  # o_t = Filter(i_t) * h_0: there is no memory
        assert (amounts(attribution, "h_t of other") == 0).all()
        assert (share == 1).all()
    else:
        assert (amounts(attribution, "h_t of other") > 0).all()
        assert ((share > 0) & (share < 1)).all()


def test_a_map_equals_one_replacement_by_hand(storygan: StoryGAN, story: list[str]) -> None:
    output = storygan.generate(story, seed=7)
    S = output.S.clone()
    S[:, 1] = 0
    without = generate_from_noise(storygan, output.stories, S, output.S_0, output.noise)
    expected = np.abs(without.frames.astype(int) - output.frames).mean((0, 4))
    assert np.abs(attribution_of("storygan").maps[1] - expected).max() <= 1  # rounding may differ by a level


def test_the_same_seed_gives_the_same_numbers(storygan: StoryGAN, story: list[str]) -> None:
    output = storygan.generate(story, seed=7)
    one, two, other = (
        attribution_of("storygan"),
        editing.attribute(storygan, output),
        editing.attribute(storygan, output, 1),
    )
    assert np.array_equal(one.maps, two.maps)
    assert np.array_equal(one.maps[:5], other.maps[:5])  # sentences and h_0 = 0: no noise in them
    assert not np.array_equal(one.maps[5:7], other.maps[5:7])
    assert json.loads(json.dumps(one.to_dict())) == one.to_dict()
    assert len(str(one).splitlines()) == 1 + 9 + 1  # frames; sources; the filters' share


def test_attribution_of_an_extended_story(storygan: StoryGAN, story: list[str]) -> None:
    longer = editing.extend(storygan, storygan.generate(story), story[1])
    assert editing.attribute(storygan, longer).maps.shape == (10, 5, 64, 64)


def test_the_gist_grid_has_the_story_on_its_diagonal(model: StoryGAN, story: list[str]) -> None:
    output = model.generate(story, seed=7, num_samples=2)
    grid = editing.gist_grid(model, output)
    if model.config.variant in ("imagegan", "svc"):
        assert grid is None
        return
    assert grid is not None
    assert grid.shape == (2, 4, 4, 64, 64, 3)
    diagonal = grid[:, range(4), range(4)].astype(int)
    assert np.abs(diagonal - output.frames).max() <= 1  # rounding may differ by a level
    assert not np.array_equal(grid[:, 0, 1], grid[:, 1, 1])


def test_attribution_rows(model: StoryGAN, story: list[str]) -> None:
    output = model.generate(story, seed=7)
    attribution, grid = attribution_of(model.config.variant), editing.gist_grid(model, output)
    rows = editing.attribution_rows(attribution, output, grid)
    assert len(rows) == 1 + len(attribution.sources) + (0 if grid is None else 4)
    third = rows[3]  # sentence 3: frames before it stay dark gray, those after glow where they change
    assert third.label.startswith("sentence 3")
    assert third.captions[0] == "0.00 of 255"
    gray = third.frames[0]
    assert (gray == gray[..., :1]).all()
    assert gray.max() < 128
    assert (third.frames[2, ..., 0] > third.frames[2, ..., 2]).any()
    assert sheet(rows, scale=1).shape[2] == 3


def test_every_variant_has_a_number_of_sources() -> None:
    assert set(SOURCES) == set(MODELS)
