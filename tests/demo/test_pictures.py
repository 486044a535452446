"""What the page shows, as HTML: nothing that was typed can become markup."""

import base64
import io
import re

import numpy as np
from PIL import Image
from tests.demo.conftest import STORY

from storygan.demo.history import draw
from storygan.demo.html import check_html, problem_html, rows_html, sheet_html
from storygan.demo.story_input import check_story
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import parse_sentence
from storygan.viz import Row

EVIL = '<img src=x onerror="alert(1)">'


def test_the_check_sets_the_word_at_fault_off() -> None:
    html = check_html(check_story("\n".join([STORY[0], "small pink metal cube at (0, 0)"]), 4, parse_sentence))
    assert '<li value="2">unknown word <mark>pink</mark> in ' in html
    assert "Please mend sentence 2." in html
    assert "Ready to draw!" in check_html(check_story("\n".join(STORY), 4, parse_sentence))


def test_typed_markup_stays_text() -> None:
    shown = check_html(check_story(EVIL, 4, parse_sentence)) + problem_html(EVIL)
    shown += rows_html([Row(EVIL, np.zeros((1, 8, 8, 3), np.uint8), [EVIL])])
    assert "<img src=x" not in shown
    assert 'onerror="' not in shown


def test_a_sheet_shows_its_frames_and_how_far_it_is(model: StoryGAN) -> None:
    first, second = (sheet_html(sheet) for sheet in draw("m", model, STORY, samples=2, seed=7))
    assert '<progress value="1" max="2">' in first
    assert "<progress" not in second
    frames = re.findall(r'src="data:image/png;base64,([^"]+)" alt="([^"]+)"', second)
    assert [sentence for _, sentence in frames] == [*STORY, *STORY]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(frames[0][0]))))
    assert np.abs(shown.astype(int) - model.generate(STORY, samples=2, seed=7)[0, 0]).max() <= 1
