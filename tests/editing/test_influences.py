"""What a frame owes to what: causes come before effects, and each variant has its own."""

import json
import re
from functools import cache

import numpy as np
from tests.editing.conftest import MODELS, STORY

from storygan import editing
from storygan.config import Variant
from storygan.models.storygan import StoryGAN
from storygan.viz import sheet


@cache
def found_in(variant: Variant) -> editing.Influence:
    return editing.influence(MODELS[variant], editing.draw(MODELS[variant], STORY, seed=7))


SOURCES: dict[Variant, int] = {"storygan": 9, "imagegan": 7, "svc": 7, "svfn": 9}


def amounts(found: editing.Influence, pattern: str) -> np.ndarray:
    """The row of the one source that the pattern finds."""
    (row,) = [k for k, source in enumerate(found.sources) if re.search(pattern, source)]
    return found.amounts[row]


def test_no_frame_owes_anything_to_a_later_sentence(model: StoryGAN) -> None:
    variant = model.config.variant
    found = found_in(variant)
    assert len(found.sources) == SOURCES[variant]
    assert found.maps.shape == (SOURCES[variant], 4, 64, 64)
    expected = np.eye(4, dtype=bool) if variant == "imagegan" else np.triu(np.ones((4, 4), bool))
    assert np.array_equal(found.amounts[:4] > 0, expected)
    for source in ("h_0 = 0", "h_0 redrawn", "eps_t"):
        assert (amounts(found, source) > 0).all()


def test_filters_and_memory(model: StoryGAN) -> None:
    found = found_in(model.config.variant)
    share = found.filters_share
    if model.config.variant in ("imagegan", "svc"):
        assert share is None
        return
    assert share is not None
    assert (amounts(found, "Filter") > 0).all()
    if model.config.variant == "svfn":  # o_t = Filter(i_t) * h_0: nothing is remembered
        assert (amounts(found, "h_t of other") == 0).all()
        assert (share == 1).all()
    else:
        assert (amounts(found, "h_t of other") > 0).all()
        assert ((share > 0) & (share < 1)).all()


def test_maps_say_where(storygan: StoryGAN, story: list[str]) -> None:
    """Against one exchange made by hand."""
    drawing = editing.draw(storygan, story, seed=7)
    S = drawing.S.clone()
    S[:, 1] = 0
    silent = editing.output.tell(storygan, drawing.story, S, drawing.S_0, drawing.noise)
    expected = np.abs(silent.frames.astype(int) - drawing.frames).mean((0, 4))
    assert np.abs(found_in("storygan").maps[1] - expected).max() <= 1  # rounding may differ by a level


def test_the_same_seed_gives_the_same_numbers(storygan: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(storygan, story, seed=7)
    one, two, other = (
        found_in("storygan"),
        editing.influence(storygan, drawing),
        editing.influence(storygan, drawing, 1),
    )
    assert np.array_equal(one.maps, two.maps)
    assert np.array_equal(one.maps[:5], other.maps[:5])  # sentences and h_0 = 0: no draw in them
    assert not np.array_equal(one.maps[5:7], other.maps[5:7])
    assert json.loads(json.dumps(one.to_dict())) == one.to_dict()
    assert len(str(one).splitlines()) == 1 + 9 + 1  # frames; sources; the filters' share


def test_a_continued_story(storygan: StoryGAN, story: list[str]) -> None:
    longer = editing.continue_story(storygan, editing.draw(storygan, story), story[1])
    assert editing.influence(storygan, longer).maps.shape == (10, 5, 64, 64)


def test_the_gist_grid_has_the_story_on_its_diagonal(model: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(model, story, seed=7, samples=2)
    grid = editing.gist_grid(model, drawing)
    if model.config.variant in ("imagegan", "svc"):
        assert grid is None
        return
    assert grid is not None
    assert grid.shape == (2, 4, 4, 64, 64, 3)
    diagonal = grid[:, range(4), range(4)].astype(int)
    assert np.abs(diagonal - drawing.frames).max() <= 1  # rounding may differ by a level
    assert not np.array_equal(grid[:, 0, 1], grid[:, 1, 1])


def test_as_a_picture(model: StoryGAN, story: list[str]) -> None:
    drawing = editing.draw(model, story, seed=7)
    found, grid = found_in(model.config.variant), editing.gist_grid(model, drawing)
    rows = editing.influence_rows(found, drawing, grid)
    assert len(rows) == 1 + len(found.sources) + (0 if grid is None else 4)
    third = rows[3]  # sentence 3: frames before it stay dark gray, those after glow where they change
    assert third.label.startswith("sentence 3")
    assert third.captions[0] == "0.00"
    gray = third.frames[0]
    assert (gray == gray[..., :1]).all()
    assert gray.max() < 128
    assert (third.frames[2, ..., 0] > third.frames[2, ..., 2]).any()
    assert sheet(rows, scale=1).shape[2] == 3


def test_every_variant_is_known_here() -> None:
    assert set(SOURCES) == set(MODELS)
