"""What holds the page's components and calls its handlers."""

from __future__ import annotations

from typing import Any

import gradio as gr

from storygan.demo.guard import blame


class Page(gr.Blocks):
    """Gradio's, but that the Guard gets to know what failed: from the answer it could not tell whose fault it is."""

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read the values, call the handler, write what it returns."""
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            blame(error)
            raise
