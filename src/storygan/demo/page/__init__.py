"""The page: its layout and events. Only this package imports Gradio.

Each module has one part of the page. It creates its components in `__init__` and its events in `connect`. Every handler
checks its values, since a visitor may send anything.
"""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr

from storygan.demo.examples import EXAMPLES, example, kind_of
from storygan.demo.html import EMPTY
from storygan.demo.page.components import AFTERWARDS, IMMEDIATE, STYLE, THEME, Page, scroll_to
from storygan.demo.page.download import Download
from storygan.demo.page.edit import Edit
from storygan.demo.page.explain import Explain
from storygan.demo.page.floor_plan import FloorPlan
from storygan.demo.page.generate import KEEP_SECONDS, Generate
from storygan.demo.page.select import Select
from storygan.demo.page.story_input import StoryInput
from storygan.demo.story_input import grammar_of
from storygan.models.storygan import StoryGAN

__all__ = ["STYLE", "THEME", "build_page"]

HEADING = '<h1>StoryGAN</h1><p class="lead">Write a story. Each sentence becomes one frame.</p>'


def build_page(models: dict[str, StoryGAN]) -> Page:
    """Build the page for these models; the first is selected."""
    name, first = next(iter(models.items()))
    kind, T = kind_of(first), first.config.T
    start = example(kind, next(iter(EXAMPLES[kind])), T)
    with Page(title="storygan", delete_cache=(KEEP_SECONDS // 4, KEEP_SECONDS)) as blocks:
        gr.HTML(HEADING, elem_id="heading")
        model = gr.Dropdown(list(models), value=name, label="Model", visible=len(models) > 1, elem_id="model")
        with gr.Row():
            with gr.Column(visible=grammar_of(first) is not None, min_width=340) as floor:
                floor_plan = FloorPlan(models, start, T)
            with gr.Column(min_width=340):
                story_input = StoryInput(models, first, start)
                generate = Generate(models)
        pictures = gr.HTML(EMPTY, elem_id="pictures")
        with gr.Column(visible=False, elem_id="after") as after:
            select = Select()
            download = Download()
            edit = Edit(models)
            explain = Explain(models)

        samples, selected = generate.samples, select.selected
        story_input.connect(model, floor, floor_plan.plan)
        floor_plan.connect(model, story_input.text)
        explain.connect(samples, selected)
        generated = generate.connect(model, story_input.text, pictures)
        edited = edit.connect(samples, selected, pictures)
        undone = select.connect(samples, pictures)
        outdated = [edit.comparison, explain.attribution]
        clear_both, clear_attribution = lambda: ("", ""), lambda: (gr.skip(), "")
        for event, clear, target in (
            *((event, clear_both, "pictures") for event in (*generated, undone)),
            *((event, clear_attribution, "comparison") for event in edited),
        ):
            event.then(None, js=scroll_to(target)).then(clear, None, outdated, **AFTERWARDS).then(
                select.update, [samples, selected], [after, *select.updated], **AFTERWARDS
            ).then(edit.update, [samples, selected, *edit.choices], edit.updated, **AFTERWARDS).then(
                edit.suggest, [samples, selected, edit.added], edit.added, **AFTERWARDS
            ).then(download.write, [samples, selected], download.buttons, **AFTERWARDS)
        selected.input(clear_both, None, outdated, **IMMEDIATE)
        selected.input(download.write, [samples, selected], download.buttons, **AFTERWARDS)
    return blocks
