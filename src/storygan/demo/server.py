"""Serving the page until it is stopped."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from storygan.demo.guard import Guard
from storygan.demo.models import load_models
from storygan.text import embedding_cache
from storygan.types import UsageError

MOST_EMBEDDINGS = 2000  # of sentences in plain English: those of the visitors are not written to the disk
MAX_VISITORS = 100  # whose drawings are kept; the ones not seen for longest are forgotten


def serve(names: Sequence[str], host: str, port: int) -> None:
    """Serve the page for the models, and say where, until the process is interrupted or terminated."""
    with running(names, host, port) as address:
        print(f"the page is at {address} (stop with Ctrl-C)", flush=True)
        threading.Event().wait()


@contextmanager
def running(names: Sequence[str], host: str, port: int) -> Iterator[str]:
    """The server, and its address, while the block runs; port 0 takes a free one. Its files go when it ends.

    Raises:
        StoryganError: where a model does not load.
        UsageError: where the address cannot be served.
    """
    port = free_port(host, port)
    embedding_cache.MEMORY.use(MOST_EMBEDDINGS)
    models = load_models(names)
    with TemporaryDirectory(prefix="storygan-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        from starlette.middleware import Middleware

        from storygan.demo.page import STYLE, THEME, build_page

        page = build_page(models)
        page.queue(max_size=MAX_VISITORS, api_open=False)  # nobody draws past those who wait
        try:
            try:
                page.launch(
                    server_name=host,
                    server_port=port,
                    prevent_thread_lock=True,
                    quiet=True,
                    share=False,
                    ssr_mode=False,
                    footer_links=[],
                    run_history=False,
                    max_file_size="1mb",
                    app_kwargs={"middleware": [Middleware(Guard)]},
                    state_session_capacity=MAX_VISITORS,
                    theme=THEME,
                    css_paths=STYLE,
                )
            except ValueError:
                if not page.is_running:
                    raise
                # It is served, but asked for the page itself it took more than 3 seconds: a machine at work.
            yield str(page.local_url)
        finally:
            page.close(verbose=False)


def free_port(host: str, port: int) -> int:
    """The port, or for 0 a free one; UsageError where this machine cannot serve it."""
    if not 0 <= port <= 65535:
        raise UsageError(f"cannot serve at {host}, port {port}: ports are numbers from 0 to 65535")
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise UsageError(f"cannot serve at {host}, port {port}: {error.strerror or error}") from error
