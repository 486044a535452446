"""Explaining a drawing: what each picture owes to its sentence and to the story."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storygan import editing
from storygan.demo.history import Sheet
from storygan.demo.html import owing_html, problem_html
from storygan.demo.page.components import BUSY, DRAWS
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN


class Explaining:
    """A button, and the pictures that answer."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>5</b> Ask why</h2>")
        self.why = gr.Button("What made the pictures look like this?", size="lg", elem_id="why")
        self.told = gr.HTML(elem_id="influence")

    def connect(self, sheet: gr.State, liked: gr.Radio) -> None:
        """It waits its turn, as a drawing does."""
        self.why.click(None, None, self.told, js=BUSY)
        self.why.click(self.explain, [sheet, liked], self.told, api_visibility="private", **DRAWS)

    def explain(self, sheet: Sheet | None, liked: Any) -> str:
        """Where the pictures change when a sentence, the story or the noise is exchanged."""
        try:
            if sheet is None:
                raise UsageError("Draw a story first.")
            drawing = sheet.pick(liked)
        except StoryganError as error:
            return problem_html(str(error))
        model = self.models[sheet.model]
        return owing_html(drawing, editing.influence(model, drawing), editing.gist_grid(model, drawing))
