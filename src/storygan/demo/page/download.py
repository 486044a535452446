"""Download a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from storygan.demo.downloads import delete_oldest, write_files
from storygan.demo.history import Samples

FILES = ("Strip (PNG)", "Animation (GIF)", "Comic page (PNG)", "Comic page (PDF)", "Story (text)")
MAX_FILES = 2000
"""On the server: about 100 MB, the files of 200 samples, each with the copy that Gradio serves."""


class Download:
    """The files of the selected sample."""

    def __init__(self) -> None:
        gr.HTML("<h2><b>3</b> Download</h2>")
        with gr.Row(equal_height=True, elem_id="download"):
            self.buttons = [gr.DownloadButton(f"⬇ {label}", size="lg", min_width=150) for label in FILES]

    def write(self, samples: Samples | None, selected: Any) -> list[Any]:
        """Write the files into Gradio's temporary folder, and return their paths."""
        if samples is None:
            return [None] * len(FILES)
        output = samples.select(selected)
        cache = Path(self.buttons[0].GRADIO_CACHE)
        delete_oldest(cache, MAX_FILES)
        folder = cache / uuid4().hex
        folder.mkdir(parents=True)
        return [str(path) for path in write_files(output, folder)]
