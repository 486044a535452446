"""What each picture owes to what, as the page shows it."""

import re
from functools import cache

import numpy as np
import pytest
from tests.demo.conftest import STORY

from storygan import editing
from storygan.config import VARIANTS, ModelConfig, Variant
from storygan.demo.html import owing_html, shares
from storygan.editing.attribution import NO_STORY, OTHER_NOISE
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder


@cache
def explained(variant: Variant) -> tuple[editing.Drawing, editing.Influence, np.ndarray | None]:
    model = StoryGAN(ModelConfig(variant, noise_dim=10), ClevrEncoder()).eval()
    drawing = editing.draw(model, STORY, seed=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storygan.editing.attribution.DRAWS", 1)
        return drawing, editing.influence(model, drawing), editing.gist_grid(model, drawing)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_has_its_rows(variant: Variant) -> None:
    html = owing_html(*explained(variant))
    child, symbols = html.split("<details>")
    for sentence in STORY:
        assert f": {sentence}</h3>" in child
    assert ("gist filters" in child) == (variant in ("storygan", "svfn"))
    assert "s_1 = 0" in symbols
    assert "s_1 = 0" not in child


def test_shares_divide_what_changes_a_picture() -> None:
    maps = np.zeros((6, 4, 2, 2), np.float32)
    maps[0] = 1  # sentence 1, in all pictures
    maps[1, 1:] = 3  # sentence 2
    maps[4, 3] = 2  # the story, in the last
    sources = (*(f"sentence {k}" for k in range(1, 5)), NO_STORY, OTHER_NOISE)
    found = shares(editing.Influence(sources, maps), 4)
    np.testing.assert_allclose(found, [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 1, 0, 0], [0, 4 / 6, 2 / 6, 0]])
    assert not shares(editing.Influence(sources, 0 * maps), 4).any()


def test_bars_are_as_long_as_the_shares() -> None:
    drawing, found, grid = explained("storygan")
    widths = [int(width) for width in re.findall(r"width:(\d+)%", owing_html(drawing, found, grid))]
    assert len(widths) == 4 * len(STORY)
    np.testing.assert_allclose(widths, 100 * shares(found, 4).flatten(), atol=0.51)
