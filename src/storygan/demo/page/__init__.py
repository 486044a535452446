"""The page itself: what stands where, and what follows what. This package alone knows Gradio.

Each module is one part of the page: it makes its components when it is made, and says in `connect` what happens when
one is used. Every handler checks what it is given: a visitor may send anything.
"""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported: it would report home

import gradio as gr

from storygan.demo.examples import EXAMPLES, example, kind_of
from storygan.demo.html import EMPTY
from storygan.demo.page.components import AFTERWARDS, QUICK, STYLE, THEME, Page, scroll_to
from storygan.demo.page.download import Keeping
from storygan.demo.page.edit import Changing
from storygan.demo.page.explain import Explaining
from storygan.demo.page.floor_plan import Placing
from storygan.demo.page.generate import KEPT_SECONDS, Starting
from storygan.demo.page.select import Choosing
from storygan.demo.page.story_input import Telling
from storygan.demo.story_input import grammar_of
from storygan.models.storygan import StoryGAN

__all__ = ["STYLE", "THEME", "build_page"]

HEADING = '<h1>Tell a story, see it drawn</h1><p class="lead">Each sentence becomes one picture.</p>'


def build_page(models: dict[str, StoryGAN]) -> Page:
    """The page for these models; the first is chosen."""
    name, first = next(iter(models.items()))
    kind, T = kind_of(first), first.config.T
    start = example(kind, next(iter(EXAMPLES[kind])), T)
    with Page(title="storygan", delete_cache=(KEPT_SECONDS // 4, KEPT_SECONDS)) as blocks:
        gr.HTML(HEADING, elem_id="heading")
        model = gr.Dropdown(list(models), value=name, label="Who draws?", visible=len(models) > 1, elem_id="model")
        with gr.Row(elem_id="tell"):
            with gr.Column(visible=grammar_of(first) is not None, min_width=340) as floor:
                placing = Placing(models, start, T)
            with gr.Column(min_width=340):
                telling = Telling(models, first, start)
                starting = Starting(models)
        pictures = gr.HTML(EMPTY, elem_id="pictures")
        with gr.Column(visible=False, elem_id="after") as after:
            choosing = Choosing()
            keeping = Keeping()
            changing = Changing(models)
            explaining = Explaining(models)

        sheet, liked = starting.sheet, choosing.liked
        telling.connect(model, floor, placing.plan)
        placing.connect(model, telling.text)
        explaining.connect(sheet, liked)
        drawn = starting.connect(model, telling.text, pictures)
        edited = changing.connect(sheet, liked, pictures)
        undone = choosing.connect(sheet, pictures)
        told = [changing.comparison, explaining.told]  # of the drawing as it was
        forget_all, forget_why = lambda: ("", ""), lambda: (gr.skip(), "")
        for event, forget, place in (
            *((event, forget_all, "pictures") for event in (*drawn, undone)),
            *((event, forget_why, "comparison") for event in edited),
        ):
            event.then(None, js=scroll_to(place)).then(forget, None, told, **AFTERWARDS).then(
                choosing.open, [sheet, liked], [after, *choosing.opened], **AFTERWARDS
            ).then(changing.open, [sheet, liked, *changing.chosen], changing.opened, **AFTERWARDS).then(
                changing.suggest, [sheet, liked, changing.more], changing.more, **AFTERWARDS
            ).then(keeping.files, [sheet, liked], keeping.downloads, **AFTERWARDS)
        liked.input(forget_all, None, told, **QUICK)
        liked.input(keeping.files, [sheet, liked], keeping.downloads, **AFTERWARDS)
    return blocks
