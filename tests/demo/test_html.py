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
from storygan.demo.history import Samples, generate_samples
from storygan.demo.html import (
    SCALE,
    amount_text,
    cards_css,
    check_html,
    compare,
    heatmaps_html,
    numbered,
    pictures_html,
    shares,
    shares_html,
)
from storygan.demo.story_input import check_story
from storygan.editing.attribution import OTHER_NOISE, ZERO_CONTEXT
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.free_text import read_sentence
from storygan.viz import enlarge

MARKUP = '<img src=x onerror="alert(1)">'
NEW = "large purple metal cube at (-0.4, 0.9)"


# ---- check and samples ----


def test_the_check_marks_the_unknown_word_once() -> None:
    html = check_html(check_story("\n".join([STORY[0], "small pink metal cube at (0, 0)"]), 4, read_sentence), 4, True)
    assert "unknown word <mark>pink</mark> in " in html
    assert html.count('class="problem"') == 1
    assert "Ready" not in html
    assert "✓ Ready.</p>" in check_html(check_story("\n".join(STORY), 4, read_sentence), 4, True)
    assert "trained on stories of 4 sentences; this one has 1" in check_html(check_story("a", 4, None), 4, False)


def test_free_text_has_chips_of_what_it_was_understood_as() -> None:
    report = check_story("a small shiny red ball", 4, read_sentence)
    html = check_html(report, 4, True, note="a note")
    assert re.findall(r"<option selected>(\w+)", html) == ["small", "red", "metal", "sphere"]
    assert f"({report.lines[0].thing.x:.2f}, {report.lines[0].thing.y:.2f})" in html
    assert "a note" in html
    assert "<select" not in check_html(check_story("a red ball", 4, None), 4, False)


def test_typed_markup_stays_text(model: StoryGAN) -> None:
    (output,) = generate_samples("m", model, STORY, 1, 7).outputs
    samples = Samples("m", 7, (replace(output, stories=((MARKUP, *STORY[1:]),)),), titles=("x",))
    html = check_html(check_story(MARKUP, 4, read_sentence), 4, True, MARKUP) + pictures_html(samples)
    assert "<img src=x" not in html
    assert 'onerror="' not in html


def test_names_of_models_do_not_end_the_style() -> None:
    css = cards_css(["a</style><b>", 'x" } body {', "m"], {})
    assert css.count("<") == 2  # <style> and </style>
    assert css.count('"') == 6
    assert css.count("}") == 3


def test_pictures_are_buttons_with_the_selected_one_pressed(model: StoryGAN) -> None:
    samples = generate_samples("m", model, STORY, 2, seed=7).select(2, 3)
    html = pictures_html(samples)
    assert re.findall(r'data-frame="(\d)" aria-pressed="true"', html) == ["3"]
    assert re.findall(r'data-sample="(\d)" aria-pressed="true"', html) == ["2"]
    frames = re.findall(r'src="data:image/webp;base64,([^"]+)" alt="([^"]+)"', html)
    assert [sentence for _, sentence in frames] == list(STORY)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(frames[0][0]))).convert("RGB"))
    assert np.abs(shown.astype(int) - enlarge(samples.output.frames[0, 0], SCALE)).mean() < 3  # WebP is lossy
    assert "data-sample" not in pictures_html(generate_samples("m", model, STORY, 1, seed=7))


def test_frames_have_the_aspect_ratio_of_the_model(model: StoryGAN) -> None:
    (output,) = generate_samples("m", model, STORY, 1, seed=7).outputs
    (source, *_) = re.findall(
        r'src="data:image/webp;base64,([^"]+)"', pictures_html(Samples("m", 7, (replace(output, aspect_ratio=4 / 3),)))
    )
    assert Image.open(io.BytesIO(base64.b64decode(source))).size == (512, 384)


# ---- comparison ----


def test_comparison_of_a_changed_sentence(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    after = editing.change_sentence(model, before, 3, NEW, keep_context=True)
    assert compare(before, after).startswith("Pictures 1 and 2 did not change. Pictures 3 and 4 changed")


def test_comparison_inside_and_outside_a_mask(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    frames, mask = before.frames.copy(), np.zeros((64, 64), bool)
    mask[:, :32] = True
    frames[0, 2, :, :32] ^= 128
    frames[0, 2, :, 32:] ^= 32
    words = compare(before, replace(before, frames=frames), mask)
    expected = "Picture 3 changed. The change is 4.0 times as large where the old and the new object are as elsewhere."
    assert words.endswith(expected)
    assert "elsewhere" not in compare(before, replace(before, frames=frames), ~mask)


def test_comparison_of_an_extended_story(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    words = compare(before, editing.extend(model, before, NEW))
    assert words == "Picture 5 is new. Pictures 1, 2, 3 and 4 did not change."


def test_a_barely_visible_change(model: StoryGAN) -> None:
    before = model.generate(STORY, seed=7)
    frames = before.frames.copy()
    frames[0, 0, 0, 0] ^= 4  # one pixel, by a few levels
    assert compare(before, replace(before, frames=frames)).endswith("Picture 1 changed, but barely visibly.")
    assert compare(before, before) == "Pictures 1, 2, 3 and 4 did not change."


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "none"), (0.1, "barely visible (0.10)"), (0.5, "small (0.50)"), (3.2, "large (3.20)")]
)
def test_amount_text(amount: float, text: str) -> None:
    assert amount_text(amount) == text


def test_numbered() -> None:
    assert [numbered(frames) for frames in ([2], [1, 4])] == ["Picture 2", "Pictures 1 and 4"]


# ---- attribution ----


@cache
def attribution_of(variant: Variant) -> tuple[editing.StoryOutput, editing.Attribution]:
    model = StoryGAN(ModelConfig(variant, noise_dim=10), ClevrEncoder()).eval()
    output = model.generate(STORY, seed=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storygan.editing.attribution.NOISE_SAMPLES", 1)
        return output, editing.attribute(model, output)


@pytest.mark.parametrize("variant", VARIANTS)
def test_heatmaps_have_the_sources_of_each_variant(variant: Variant) -> None:
    html = heatmaps_html(*attribution_of(variant), 2)
    assert [f"Without sentence {k}" in html for k in range(1, 6)] == [True] * 4 + [False]
    assert ("gist filters" in html) == (variant in ("storygan", "svfn"))


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
    share = shares(attribution_of("storygan")[1], 4)[1]
    widths = [int(width) for width in re.findall(r"--share:(\d+)%", shares_html(share))]
    np.testing.assert_allclose(widths, 100 * share, atol=0.51)
