"""Saving a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from storygan.demo.downloads import keep_newest, write_files
from storygan.demo.history import Sheet

FILES = ("Picture (PNG)", "Moving picture (GIF)", "Comic page (PNG)", "Comic page (PDF)", "Story (text)")
MAX_FILES = 2000  # on the server: about 100 MB, the files of 200 drawings, each with the copy that Gradio serves


class Keeping:
    """The files of the drawing that is liked best."""

    def __init__(self) -> None:
        gr.HTML("<h2><b>3</b> Keep it</h2>")
        with gr.Row(equal_height=True, elem_id="keep"):
            self.downloads = [gr.DownloadButton(f"⬇ {label}", size="lg", min_width=150) for label in FILES]

    def files(self, sheet: Sheet | None, liked: Any) -> list[Any]:
        """The files, in Gradio's temporary folder, which serves them, and clears them after a time."""
        if sheet is None:
            return [None] * len(FILES)
        drawing = sheet.pick(liked)
        served = Path(self.downloads[0].GRADIO_CACHE)
        keep_newest(served, MAX_FILES)
        folder = served / uuid4().hex
        folder.mkdir(parents=True)
        return [str(path) for path in write_files(drawing.frames[0], drawing.story, folder)]
