"""Load the models and serve the page."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from storygan.demo.security import LOOPBACK, Guard
from storygan.errors import StoryganError, UsageError
from storygan.models.devices import Precision
from storygan.models.storygan import StoryGAN, load_for_inference, shipped_models


class Models(dict[str, StoryGAN]):
    """Models by display name. A visitor may send any name: UsageError if there is no such model."""

    loading: threading.Thread | None = None
    """Loads the weights of the sentence encoders."""

    def __getitem__(self, name: object) -> StoryGAN:
        if not isinstance(name, str) or name not in self:
            raise UsageError("Choose a model.")
        return super().__getitem__(name)

    def load_encoders(self) -> None:
        """Load the weights of MiniLM in a thread, if a model needs them."""
        slow = [model for model in self.values() if _is_slow(model)]
        if slow:
            self.loading = threading.Thread(target=_encode, args=(slow[0],), daemon=True)
            self.loading.start()

    def wait_for(self, model: StoryGAN) -> None:
        """Wait until a model's sentence encoder is loaded."""
        if self.loading is not None and _is_slow(model):
            self.loading.join()


def _is_slow(model: StoryGAN) -> bool:
    return model.sentence_encoder is not None and model.sentence_encoder.kind == "sentence"


def _encode(model: StoryGAN) -> None:
    with suppress(StoryganError):  # shown to the visitor who generates
        model.encode([["A fox finds a kite."]])


def load_models(names: Sequence[str], device: str = "cpu", precision: Precision = "fp32") -> Models:
    """Load shipped models, model folders or hub ids; without names all shipped models.

    Shipped models whose sentence encoder is not installed are left out, with a message on stderr.

    Returns:
        The models by display name.

    Raises:
        StoryganError: A model does not load.
    """
    models = Models()
    for name in names or shipped_models():
        model, display_name = load_for_inference(name, device, precision), _display_name(name)
        if not names and model.sentence_encoder and (install := model.sentence_encoder.missing()):
            print(f"storygan: the page leaves out {name}, which needs {install}", file=sys.stderr)
            continue
        others = [other for other in models if other.split(" (")[0] == display_name]
        models[f"{display_name} ({len(others) + 1})" if others else display_name] = model
    return models


def _display_name(name: str) -> str:
    """Return the last part of a path, or `first` for `runs/first/model`. The rest of the path stays private."""
    path = Path(name)
    if not path.is_dir():
        return name
    path = path.resolve()
    return path.parent.name if path.name == "model" else path.name


MAX_VISITORS = 100
"""Visitors whose samples are kept; the least recent are forgotten first."""


def serve(names: Sequence[str], host: str, *options: Any) -> None:
    """Serve the page and print its address, until the process is interrupted or terminated; arguments of `running`."""
    with running(names, host, *options) as address:
        if host not in LOOPBACK:
            print(
                f"storygan: other machines can open the page at {host}, without a login or encryption: "
                "on an open network, put a proxy that has both in front, and name it with --domain",
                file=sys.stderr,
            )
        print(f"the page is at {address} (stop with Ctrl-C)", flush=True)
        threading.Event().wait()


@contextmanager
def running(
    names: Sequence[str],
    host: str,
    port: int,
    device: str = "cpu",
    precision: Precision = "fp32",
    domains: Sequence[str] = (),
) -> Iterator[str]:
    """Run the server and yield its address. Its temporary files are deleted at the end.

    Args:
        names: see `load_models`.
        host: the address to bind.
        port: 0: a free port.
        device: of the models, as for `load_for_inference`.
        precision: of the models, likewise.
        domains: see `Guard`.

    Raises:
        StoryganError: A model does not load.
        UsageError: The address cannot be served.
    """
    port = free_port(host, port)
    models = load_models(names, device, precision)
    with TemporaryDirectory(prefix="storygan-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        import uvicorn.config
        from starlette.middleware import Middleware

        from storygan.demo.connections import BoundedProtocol, RateLimit
        from storygan.demo.page import STYLE, THEME, build_page

        uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{BoundedProtocol.__module__}:{BoundedProtocol.__name__}"
        for name in ("asyncio", "uvicorn.error", "storygan.demo.security"):
            logging.getLogger(name).addFilter(RateLimit())
        page = build_page(models)
        page.queue(max_size=MAX_VISITORS, api_open=False)  # api_open: the API would bypass the queue
        page.limit_queue()
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
                    app_kwargs={"middleware": [Middleware(Guard, host=host, domains=domains)]},
                    state_session_capacity=MAX_VISITORS,
                    theme=THEME,
                    css_paths=STYLE,
                )
            except ValueError:
                if not page.is_running:
                    raise
                # It is served: Gradio's own request for the page took more than 3 seconds.
            models.load_encoders()  # after the page, which it would delay
            yield str(page.local_url)
        finally:
            page.close(verbose=False)


def free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Raises UsageError if it cannot be served."""
    if not 0 <= port <= 65535:
        raise UsageError(f"cannot serve at {host}, port {port}: ports are numbers from 0 to 65535")
    try:
        host.encode("idna")  # a name that no host can have would leave the socket open
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"cannot serve at {host}, port {port}: {getattr(error, 'strerror', 0) or error}") from error
