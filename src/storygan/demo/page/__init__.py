"""The page: its layout and events. Only this package imports Gradio.

Each module has one part of the page, with its components, its events (`connect`) and how it shows the samples (`show`).
Every handler checks its values, since a visitor may send anything.
"""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr

from storygan.demo.html import cards_css
from storygan.demo.page.components import STYLE, THEME, Page
from storygan.demo.page.edit import Edit
from storygan.demo.page.share import Share
from storygan.demo.page.story_input import StoryInput
from storygan.demo.page.view import KEEP_SECONDS, View
from storygan.demo.server import Models

__all__ = ["STYLE", "THEME", "build_page"]

PICTURES = {path.stem: path for path in STYLE.parent.glob("*.webp")}
"""Of the model cards, by model."""
HEADING = "<h1>StoryGAN</h1><p>Write a story. Each sentence becomes one picture.</p>"


def build_page(models: Models) -> Page:
    """Build the page for these models; the first is selected."""
    with Page(title="storygan", delete_cache=(KEEP_SECONDS // 4, KEEP_SECONDS)) as page:
        gr.HTML(HEADING + cards_css(list(models), PICTURES), elem_id="heading")
        with gr.Row(elem_id="screen"):
            with gr.Column(elem_id="write", min_width=0):
                story = StoryInput(models)
            with gr.Column(elem_id="look", min_width=0):
                view = View()
                edit = Edit(models)
                share = Share()
        view.connect(story, edit, share)
        story.connect(page, view)
        edit.connect(view)
        share.connect(view)
    return page
