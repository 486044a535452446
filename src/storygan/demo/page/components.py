"""Theme and event options. Text has a contrast of 4.5 to 1 or more, in the light and the dark theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from storygan.demo.security import record_error

STYLE = Path(__file__).with_name("page.css")
THEME = gr.themes.Soft(
    primary_hue="orange",
    text_size="lg",
    font=("system-ui", "sans-serif"),  # system fonts: none are downloaded
    font_mono=("ui-monospace", "monospace"),
).set(
    background_fill_primary="*neutral_50",  # Soft's own, which `set` drops
    background_fill_primary_dark="*neutral_950",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_title_background_fill="transparent",
    block_title_background_fill_dark="transparent",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_title_padding="0",
    block_title_text_weight="700",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    checkbox_background_color_selected="*primary_800",
    slider_color="*primary_700",
    slider_color_dark="*primary_600",
)


class Page(gr.Blocks):
    """Gradio's page, which reports errors to the Guard: the answer does not say whether the request caused them."""

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run an event."""
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            record_error(error)
            raise


# Without the queue; of several events the newest counts.
IMMEDIATE: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}
# After another event.
AFTERWARDS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# One at a time for all visitors.
QUEUED: dict[str, Any] = {"concurrency_id": "generate", "concurrency_limit": 1, "show_progress": "minimal"}
# In the browser, before the queued event starts.
BUSY = """() => '<p class="bar" role="status"><progress></progress> Generating ...</p>'"""


def scroll_to(name: str) -> str:
    """Return JavaScript that scrolls to the component of that id."""
    return f"() => document.getElementById('{name}').scrollIntoView({{behavior: 'smooth', block: 'start'}})"
