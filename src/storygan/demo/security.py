"""ASGI middleware: bounds on requests, hosts and origins, status 400 for malformed requests, security headers."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from traceback import extract_tb, walk_tb
from typing import Any
from urllib.parse import SplitResult, urlsplit

from storygan.errors import UsageError, printable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BYTES = 100_000  # of a request's body
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
)
MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
MALFORMED = b"The server cannot read this request.\n"
_LOG = logging.getLogger(__name__)
_REQUEST: ContextVar[dict[str, bool]] = ContextVar("_REQUEST")
"""State of the current request: whether an error that Gradio answers itself is a client error."""


class Guard:
    """ASGI middleware around Gradio's application.

    Gradio answers 500 to many malformed requests: invalid UTF-8, a function that does not exist, too few values. These
    become 400 and one line in the log (`is_client_error`). Errors in our own code stay 500 with their traceback. Errors
    of queued events are not affected: they are part of the event stream.

    Args:
        app: Gradio's application.
        host: address that the server is bound to.
        domains: names by which visitors reach the page, e.g. through a proxy.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], host: str = LOOPBACK[0], domains: Sequence[str] = ()
    ) -> None:
        self.app = app
        self.domains = {name.lower() for name in domains}
        self.hosts = {host.lower(), *LOOPBACK, *self.domains}
        self.any_address = host not in LOOPBACK
        if self.any_address:
            self.hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse a body that is too large, of unknown length or malformed; otherwise add headers to the answer."""
        request: dict[str, bool] = {}
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *HEADERS]
                if message["status"] == 500 and request.get("client_error"):
                    message["status"] = 400
            await send(message)

        async def refuse(status: int, body: bytes = b"") -> None:
            headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"text/plain")]
            await with_headers({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := self.refused(scope["method"], dict(scope["headers"])):
            await refuse(refused)
        else:
            _REQUEST.set(request)
            try:
                await self.app(scope, receive, with_headers)
            except Exception as error:
                if started or not is_client_error(error):
                    raise
                frame = extract_tb(error.__traceback__)[-1]
                target = printable(f"{scope['method']} {scope['path']}", 200)
                _LOG.warning(f"400 to {target}: {type(error).__name__} at {frame.filename}:{frame.lineno}")
                await refuse(400, MALFORMED)

    def refused(self, method: str, headers: dict[bytes, bytes]) -> int:
        """Return the status that refuses a request, or 0. The server enforces the announced length.

        A page of another site must not reach this one: through a name that it points to our address (`Host`), or by a
        form or script of its own (`Origin`). There is no upload: a multipart body may hold a thousand files.
        """
        host = headers.get(b"host", b"")
        if (
            not all(self.is_own(headers[name]) for name in (b"host", b"x-forwarded-host") if name in headers)
            or not host
        ):
            return 421  # Misdirected Request
        if method not in SAFE_METHODS and (origin := headers.get(b"origin")) is not None:
            url = _split(origin)
            if url is None or (url.netloc != host.decode("latin1").lower() and url.hostname not in self.domains):
                return 403
        if headers.get(b"content-type", b"").lower().startswith(b"multipart/"):
            return 415  # Unsupported Media Type
        if b"transfer-encoding" in headers:
            return 411  # Length Required
        length = headers.get(b"content-length", b"0")
        return 413 if not length.isdigit() or len(length) > 10 or int(length) > MAX_BYTES else 0

    def is_own(self, host: bytes) -> bool:
        """Return whether a `Host` names this server. An address is no name, which another site could point to us."""
        url = _split(b"//" + host)
        if url is None or url.hostname is None:
            return False
        return url.hostname in self.hosts or (self.any_address and _is_address(url.hostname))


def _split(url: bytes) -> SplitResult | None:
    try:
        return urlsplit(url.decode("latin1").lower())
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


WRAPPERS = "storygan.demo.page.components"
"""Module whose functions pass a request on to Gradio."""


def record_error(error: Exception) -> None:
    """Record for the Guard whether an error that Gradio answers with 500 is a client error."""
    _REQUEST.get({})["client_error"] = is_client_error(error)


def is_client_error(error: Exception) -> bool:
    """Return whether the request caused an error that the caller has just caught.

    A UsageError is a client error. So is an error that Gradio or its libraries raise before they call our code, since
    they only process the request until then. Errors raised below our code are server errors, and so are a full disk or
    memory. If Gradio fails on a valid request, that counts as a client error.
    """
    if isinstance(error, UsageError):
        return True
    chain = list(_chain(error))
    if any(isinstance(one, MemoryError) or getattr(one, "errno", None) in MACHINE_ERRORS for one in chain):
        return False
    below = [error.__traceback__ and error.__traceback__.tb_next, *(one.__traceback__ for one in chain[1:])]
    names = (frame.f_globals.get("__name__", "") for tb in below for frame, _ in walk_tb(tb))
    return not any(name.startswith("storygan.") and name != WRAPPERS for name in names)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its cause or context, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
