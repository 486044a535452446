"""How a handler is called. Two kinds: what is quick runs at once, and what draws waits its turn."""

from __future__ import annotations

from typing import Any

# At once, beside any drawing; the newest of several is the one that counts.
QUICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}
# After a drawing, before the next click.
AFTERWARDS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# One drawing at a time, whoever asked for it.
DRAWS: dict[str, Any] = {"concurrency_id": "draw", "concurrency_limit": 1, "show_progress": "minimal"}
# In the browser, so that a click is answered before the server has a turn for it.
BUSY = """() => '<p class="bar" role="status"><progress></progress> Drawing ...</p>'"""


def scroll_to(place: str) -> str:
    """What brings the component of that id into sight, in the browser."""
    return f"() => document.getElementById('{place}').scrollIntoView({{behavior: 'smooth', block: 'start'}})"
