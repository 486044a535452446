"""The page's HTML: frames, comparisons, attribution; typed text never becomes markup."""

import base64
import io
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image
from tests.demo.conftest import STORY

from storygan import editing
from storygan.config import VARIANTS, ModelConfig, Variant
from storygan.demo.history import generate_samples
from storygan.demo.html import (
    amount_text,
    attribution_html,
    check_html,
    compare,
    comparison_html,
    numbered,
    problem_html,
    rows_html,
    samples_html,
    shares,
)
from storygan.demo.story_input import check_story
from storygan.editing.attribution import OTHER_NOISE, ZERO_CONTEXT
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.free_text import read_sentence
from storygan.viz import Row, enlarge

MARKUP = '<img src=x onerror="alert(1)">'
NEW = "large purple metal cube at (-0.4, 0.9)"


# ---- check and samples ----


def test_the_check_marks_the_unknown_word() -> None:
    html = check_html(check_story("\n".join([STORY[0], "small pink metal cube at (0, 0)"]), 4, read_sentence))
    assert '<li value="2">unknown word <mark>pink</mark> in ' in html
    assert "Please fix sentence 2." in html
    assert "✓ Ready" in check_html(check_story("\n".join(STORY), 4, read_sentence))


def test_typed_markup_stays_text() -> None:
    html = check_html(check_story(MARKUP, 4, read_sentence)) + problem_html(MARKUP)
    html += rows_html([Row(MARKUP, np.zeros((1, 8, 8, 3), np.uint8), [MARKUP])], 1.0)
    assert "<img src=x" not in html
    assert 'onerror="' not in html


def test_samples_show_enlarged_frames_and_progress(model: StoryGAN) -> None:
    first, second = (samples_html(samples) for samples in generate_samples("m", model, STORY, 2, seed=7))
    assert '<progress value="1" max="2">' in first
    assert "<progress" not in second
    frames = re.findall(r'src="data:image/webp;base64,([^"]+)" alt="([^"]+)"', second)
    assert [sentence for _, sentence in frames] == [*STORY, *STORY]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(frames[0][0]))).convert("RGB"))
    expected = enlarge(model.generate(STORY, num_samples=2, seed=7).frames[0, 0])
    assert np.abs(shown.astype(int) - expected).mean() < 3  # WebP is lossy


def test_frames_have_the_aspect_ratio_of_the_model(model: StoryGAN) -> None:
    wide = replace(model.generate(STORY), aspect_ratio=4 / 3)
    html = comparison_html(wide, editing.extend(model, wide, NEW))
    (source, *_) = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    assert Image.open(io.BytesIO(base64.b64decode(source))).size == (256, 192)


# ---- comparison ----


def test_comparison_of_a_changed_sentence(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    after = editing.change_sentence(model, before, 3, NEW, keep_context=True)
    words, rows = compare(before, after)
    assert words.startswith("Frames 1 and 2 did not change. Frames 3 and 4 changed")
    assert [row.label for row in rows] == ["Before", "After", "Difference"]
    assert np.array_equal(rows[1].frames, after.frames[0])
    assert rows[2].captions[:2] == ["none", "none"]
    assert rows[2].captions[2] != "none"


def test_comparison_inside_and_outside_a_mask(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    frames, mask = before.frames.copy(), np.zeros((64, 64), bool)
    mask[:, :32] = True
    frames[0, 2, :, :32] ^= 128
    frames[0, 2, :, 32:] ^= 32
    words, _ = compare(before, replace(before, frames=frames), mask)
    expected = "Frame 3 changed. The change is 4.0 times as large where the old and the new object are as elsewhere."
    assert words.endswith(expected)
    assert "elsewhere" not in compare(before, replace(before, frames=frames), ~mask)[0]


def test_comparison_of_an_extended_story(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    words, rows = compare(before, editing.extend(model, before, NEW))
    assert words == "Frame 5 is new. Frames 1, 2, 3 and 4 did not change."
    assert [len(row.frames) for row in rows] == [4, 5]


def test_a_barely_visible_change(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    frames = before.frames.copy()
    frames[0, 0, 0, 0] ^= 4  # one pixel, by a few levels
    assert compare(before, replace(before, frames=frames))[0].endswith("Frame 1 changed, but barely visibly.")
    assert compare(before, before)[0] == "Frames 1, 2, 3 and 4 did not change."


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "none"), (0.1, "barely visible (0.10)"), (0.5, "small (0.50)"), (3.2, "large (3.20)")]
)
def test_amount_text(amount: float, text: str) -> None:
    assert amount_text(amount) == text


def test_numbered() -> None:
    assert [numbered(frames) for frames in ([2], [1, 4])] == ["Frame 2", "Frames 1 and 4"]


# ---- attribution ----


@cache
def attribution_of(variant: Variant) -> tuple[editing.StoryOutput, editing.Attribution, np.ndarray | None]:
    model = StoryGAN(ModelConfig(variant, noise_dim=10), ClevrEncoder()).eval()
    output = model.generate(STORY, seed=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storygan.editing.attribution.NOISE_SAMPLES", 1)
        return output, editing.attribute(model, output), editing.gist_grid(model, output)


@pytest.mark.parametrize("variant", VARIANTS)
def test_attribution_has_the_sources_of_each_variant(variant: Variant) -> None:
    html = attribution_html(*attribution_of(variant))
    words, symbols = html.split("<details>")
    for sentence in STORY:
        assert f": {sentence}</h3>" in words
    assert ("gist filters" in words) == (variant in ("storygan", "svfn"))
    assert "s_1 = 0" in symbols
    assert "s_1 = 0" not in words


def test_shares_sum_to_1() -> None:
    maps = np.zeros((6, 4, 2, 2), np.float32)
    maps[0] = 1  # sentence 1, in all frames
    maps[1, 1:] = 3  # sentence 2
    maps[4, 3] = 2  # the story context, in the last frame
    sources = (*(f"sentence {k}" for k in range(1, 5)), ZERO_CONTEXT, OTHER_NOISE)
    found = shares(editing.Attribution(sources, maps), 4)
    np.testing.assert_allclose(found, [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 1, 0, 0], [0, 4 / 6, 2 / 6, 0]])
    assert not shares(editing.Attribution(sources, 0 * maps), 4).any()


def test_the_widths_of_the_bars_are_the_shares() -> None:
    output, attribution, grid = attribution_of("storygan")
    widths = [int(width) for width in re.findall(r"width:(\d+)%", attribution_html(output, attribution, grid))]
    assert len(widths) == 4 * len(STORY)
    np.testing.assert_allclose(widths, 100 * shares(attribution, 4).flatten(), atol=0.51)
