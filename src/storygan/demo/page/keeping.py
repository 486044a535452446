"""Saving a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from storygan.demo.drawing import Sheet
from storygan.demo.files import write_files

FILES = ("Picture (PNG)", "Moving picture (GIF)", "Comic page (PNG)", "Comic page (PDF)", "Story (text)")


class Keeping:
    """The files of the drawing that is liked best."""

    def __init__(self) -> None:
        gr.HTML("<h2><b>3</b> Keep it</h2>")
        with gr.Row(equal_height=True, elem_id="keep"):
            self.downloads = [gr.DownloadButton(f"⬇ {label}", size="lg", min_width=150) for label in FILES]

    def files(self, sheet: Sheet | None, liked: Any) -> list[Any]:
        """The files, in Gradio's temporary folder, which serves and clears them."""
        if sheet is None:
            return [None] * len(FILES)
        drawing = sheet.pick(liked)
        folder = Path(self.downloads[0].GRADIO_CACHE) / uuid4().hex
        folder.mkdir(parents=True)
        return [str(path) for path in write_files(drawing.frames[0], drawing.story, folder)]
