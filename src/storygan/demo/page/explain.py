"""Explain a sample: how much each frame depends on its sentence, the story and the noise."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storygan import editing
from storygan.demo.history import Samples
from storygan.demo.html import attribution_html, problem_html
from storygan.demo.page.components import BUSY, QUEUED
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN


class Explain:
    """The attribution of the selected sample."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>5</b> Explain</h2>")
        self.button = gr.Button("What does each frame depend on?", size="lg", elem_id="explain")
        self.attribution = gr.HTML(elem_id="attribution")

    def connect(self, samples: gr.State, selected: gr.Radio) -> None:
        """Create the events. They wait in the queue."""
        self.button.click(None, None, self.attribution, js=BUSY)
        self.button.click(self.explain, [samples, selected], self.attribution, api_visibility="private", **QUEUED)

    def explain(self, samples: Samples | None, selected: Any) -> str:
        """Return the attribution as HTML."""
        try:
            if samples is None:
                raise UsageError("Generate a story first.")
            output = samples.select(selected)
        except StoryganError as error:
            return problem_html(str(error))
        model = self.models[samples.model]
        return attribution_html(output, editing.attribute(model, output), editing.gist_grid(model, output))
