"""Serving the page until it is stopped."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from storygan.demo.security import Guard
from storygan.errors import UsageError
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.storygan import StoryGAN, shipped_models


class Models(dict[str, StoryGAN]):
    """Models by what the page calls them; UsageError for another name, which a visitor may send."""

    def __missing__(self, name: object) -> StoryGAN:
        raise UsageError("Choose who draws.")


def load_models(names: Sequence[str]) -> Models:
    """Load shipped models, model folders or hub ids; none named: all shipped ones whose sentences can be read here (of
    the others stderr says what they need). By what the page calls them.

    Raises:
        StoryganError: where one does not load.
    """
    models = Models()
    for name in names or shipped_models():
        model, shown = fuse_batch_norm(StoryGAN.from_pretrained(name)), _shown(name)
        if not names and model.sentence_encoder and (install := model.sentence_encoder.missing()):
            print(f"storygan: the page leaves out {name}, which needs {install}", file=sys.stderr)
            continue
        others = [other for other in models if other.split(" (")[0] == shown]
        models[f"{shown} ({len(others) + 1})" if others else shown] = model
    return models


def _shown(name: str) -> str:
    """The last folder's name; of `runs/first/model`, what a run leaves, `first`. The path itself stays private."""
    path = Path(name)
    if not path.is_dir():
        return name
    path = path.resolve()
    return path.parent.name if path.name == "model" else path.name


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
