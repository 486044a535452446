"""Choosing a drawing of the sheet, and going back to what was there before."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storygan.demo.history import Sheet
from storygan.demo.html import sheet_html
from storygan.demo.page.components import QUICK


class Choosing:
    """Which drawing is kept and changed, and undo."""

    def __init__(self) -> None:
        with gr.Row(equal_height=True):
            self.liked = gr.Radio(
                [1], value=1, label="Which drawing do you like best?", elem_id="liked", visible=False, interactive=True
            )
            self.undo = gr.Button("↩ Undo", size="lg", elem_id="undo", min_width=120, visible=False)
        self.opened = [self.liked, self.undo]

    def connect(self, sheet: gr.State, pictures: gr.HTML) -> Any:
        """The event after which the sheet is another."""
        return self.undo.click(self.go_back, sheet, [pictures, sheet], **QUICK)

    def open(self, sheet: Sheet | None, liked: Any) -> list[Any]:
        """The drawings to choose from, and whether there is a way back; nothing where there is no sheet."""
        if sheet is None:
            return [gr.Column(visible=False), gr.skip(), gr.skip()]
        numbers = list(range(1, len(sheet.drawings) + 1))
        chosen = liked if liked in numbers else 1
        return [
            gr.Column(visible=True),
            gr.Radio(numbers, value=chosen, visible=len(numbers) > 1),
            gr.Button(visible=bool(sheet.earlier)),
        ]

    def go_back(self, sheet: Sheet | None) -> tuple[Any, Any]:
        """The sheet before this one."""
        if sheet is None or not sheet.earlier:
            return gr.skip(), gr.skip()
        sheet = sheet.undo()
        return sheet_html(sheet), sheet
