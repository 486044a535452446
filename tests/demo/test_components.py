"""Bounds of the page's queue and values."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from storygan.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect Gradio's event loops, which it does not close, while their warnings are ignored."""
    yield
    gc.collect()


def test_a_value_that_is_a_file_is_refused_before_it_is_fetched() -> None:
    from storygan.demo.page.components import Page

    for path in ("http://127.0.0.1:1/x", "/etc/passwd"):
        file = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
        with pytest.raises(UsageError, match="A file is no value"):
            asyncio.run(Page().preprocess_data(None, ["x", [{"value": file}]]))


def test_one_address_does_not_fill_the_queue() -> None:
    from storygan.demo.page.components import MAX_WAITING, Page

    def request(address: str) -> Any:
        return SimpleNamespace(client=SimpleNamespace(host=address))

    page, waiting = Page(), []

    async def push(body: object, request: object, username: object) -> tuple[bool, str, str]:
        waiting.append(SimpleNamespace(request=request))
        return True, "", "success"

    page._queue.push = push  # type: ignore[assignment,method-assign]
    page._queue.event_queue_per_concurrency_id = {"generate": SimpleNamespace(queue=waiting)}  # type: ignore[assignment]
    page.limit_queue()
    for address in ("10.0.0.1", "10.0.0.2"):
        pushed = [asyncio.run(page._queue.push(None, request(address), None)) for _ in range(MAX_WAITING + 3)]  # type: ignore[arg-type]
        assert [accepted for accepted, *_ in pushed] == [True] * MAX_WAITING + [False] * 3
