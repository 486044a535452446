"""What shows the samples: every event that changes them returns the values of all its parts."""

from __future__ import annotations

from typing import Any, Protocol

import gradio as gr

from storygan.demo.history import Samples
from storygan.demo.html import WAITING, pictures_html

KEEP_SECONDS = 3600
"""How long the samples and files of a visitor are kept."""
# Sends a click on a frame or a sample.
CLICK = """element.addEventListener('click', (event) => {
    const { frame, sample } = event.target.closest('button')?.dataset ?? {};
    if (frame || sample) trigger('select', { frame: Number(frame ?? -1), sample: Number(sample ?? -1) });
});"""


class Part(Protocol):
    """A part of the page that shows the samples."""

    shown: list[Any]
    """Its components."""

    def show(self, samples: Samples) -> list[Any]:
        """Return the values of `shown`."""


class View:
    """The samples, the state that the page works on, and their pictures."""

    def __init__(self) -> None:
        self.samples = gr.State(None, time_to_live=KEEP_SECONDS)
        self.pictures = gr.HTML(WAITING, js_on_load=CLICK, elem_id="pictures", apply_default_css=False)
        self.outputs: list[Any] = []

    def connect(self, story: Part, *parts: Part) -> None:
        """Set the parts. The story is only shown where the samples may have others than its text."""
        self.story, self.parts = story, parts
        self.outputs = [self.samples, self.pictures, *story.shown, *(each for part in parts for each in part.shown)]

    def show(self, samples: Samples, text: bool = True) -> list[Any]:
        """Return the values of `outputs`.

        Args:
            samples: to show.
            text: whether to set the story; otherwise what the visitor has written stays.
        """
        story = self.story.show(samples) if text else [gr.skip()] * len(self.story.shown)
        return [samples, pictures_html(samples), *story, *(each for part in self.parts for each in part.show(samples))]

    def unchanged(self) -> list[Any]:
        """Return the values of `outputs` where nothing has changed."""
        return [gr.skip()] * len(self.outputs)
