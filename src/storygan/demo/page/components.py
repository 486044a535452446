"""Theme and event options. Text has a contrast of 4.5 to 1 or more, in the light and the dark theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta, traverse

from storygan.demo.security import record_error
from storygan.errors import UsageError

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
    button_secondary_background_fill_hover_dark="*neutral_700",
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


MAX_WAITING = 10
"""Events in the queue from one address."""


class Page(gr.Blocks):
    """Gradio's page, with bounds on the queue and on values, which reports errors to the Guard.

    The answer does not say whether the request caused an error.
    """

    def limit_queue(self) -> None:
        """Refuse an event where `MAX_WAITING` events of the same address are in the queue."""
        queue, push = self._queue, self._queue.push

        def address(request: Any) -> str:
            return request.client.host if request and request.client else ""

        async def push_if_few(body: Any, request: Any, username: Any) -> Any:
            waiting = [event.request for each in queue.event_queue_per_concurrency_id.values() for event in each.queue]
            if sum(address(other) == address(request) for other in waiting) >= MAX_WAITING:
                return False, "You have too many requests in the queue. Wait for some of them.", "queue_full"
            return await push(body, request, username)

        queue.push = push_if_few  # type: ignore[method-assign]

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Convert the values of an event. Raise UsageError if one is a file: Gradio would fetch its address."""
        traverse(inputs, _refuse_file, is_file_obj_with_meta)
        return await super().preprocess_data(block_fn, inputs, *args, **kwargs)

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run an event."""
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            record_error(error)
            raise


def _refuse_file(_: object) -> None:
    raise UsageError("A file is no value on this page.")


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
