"""Save the selected sample as files, and a link to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from storygan.demo.downloads import delete_oldest, write_files
from storygan.demo.history import Samples
from storygan.demo.links import link_to
from storygan.demo.page.components import AFTERWARDS
from storygan.demo.page.view import View

FILES = ("Strip (PNG)", "Animation (GIF)", "Comic (PNG)", "Comic (PDF)", "Story (text)")
MAX_FILES = 2000
"""On the server: about 100 MB, the files of 200 samples, each with the copy that Gradio serves."""
ADDRESS = "(link) => link && location.origin + location.pathname + link"


class Share:
    """The files and the link of the selected sample, made when a visitor asks for them."""

    def __init__(self) -> None:
        with gr.Accordion("Save and share", open=False, elem_id="share") as self.section:
            with gr.Row(elem_id="download"):
                self.buttons = [gr.DownloadButton(f"⬇ {name}", size="sm", min_width=0) for name in FILES]
            self.link = gr.Textbox(
                label="Link to this story and seed, without edits of single pictures",
                buttons=["copy"],
                interactive=False,
                max_lines=1,
                elem_id="link",
            )
        self.shown = [self.section]

    def show(self, samples: Samples) -> list[Any]:
        """Close the section, whose files may be those of other samples."""
        return [gr.Accordion(open=False)]

    def connect(self, view: View) -> None:
        """Create the event."""
        outputs = [*self.buttons, self.link]
        self.section.expand(self.write, view.samples, outputs, **AFTERWARDS).then(
            None, self.link, self.link, js=ADDRESS
        )

    def write(self, samples: Samples | None) -> list[Any]:
        """Write the files into Gradio's temporary folder, and return their paths and the link's query."""
        if samples is None:
            return [None] * (len(FILES) + 1)
        cache = Path(self.buttons[0].GRADIO_CACHE)
        delete_oldest(cache, MAX_FILES)
        folder = cache / uuid4().hex
        folder.mkdir(parents=True)
        return [*map(str, write_files(samples.output, folder)), link_to(samples)]
