"""Select one of the samples, and undo."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storygan.demo.history import Samples
from storygan.demo.html import samples_html
from storygan.demo.page.components import IMMEDIATE


class Select:
    """The sample that is downloaded, edited and explained, and the undo button."""

    def __init__(self) -> None:
        with gr.Row(equal_height=True):
            self.selected = gr.Radio(
                [1], value=1, label="Selected sample", elem_id="selected", visible=False, interactive=True
            )
            self.undo_button = gr.Button("↩ Undo", size="lg", elem_id="undo", min_width=120, visible=False)
        self.updated = [self.selected, self.undo_button]

    def connect(self, samples: gr.State, pictures: gr.HTML) -> Any:
        """Create the event of the undo button and return it."""
        return self.undo_button.click(self.undo, samples, [pictures, samples], **IMMEDIATE)

    def update(self, samples: Samples | None, selected: Any) -> list[Any]:
        """Offer the samples, and undo if there is an earlier state; hide both if there are no samples."""
        if samples is None:
            return [gr.Column(visible=False), gr.skip(), gr.skip()]
        numbers = list(range(1, len(samples.outputs) + 1))
        return [
            gr.Column(visible=True),
            gr.Radio(numbers, value=selected if selected in numbers else 1, visible=len(numbers) > 1),
            gr.Button(visible=bool(samples.undo_stack)),
        ]

    def undo(self, samples: Samples | None) -> tuple[Any, Any]:
        """Restore the state before this one."""
        if samples is None or not samples.undo_stack:
            return gr.skip(), gr.skip()
        samples = samples.undo()
        return samples_html(samples), samples
