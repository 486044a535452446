"""ASGI middleware: bounds on request bodies, status 400 for malformed requests, security headers."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextvars import ContextVar
from traceback import extract_tb, walk_tb
from typing import Any

from storygan.errors import UsageError, printable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BYTES = 2_000_000  # of a request's body; an uploaded file may have 1 MB
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
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

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
        elif refused := _refused(dict(scope["headers"])):
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
    return not any(name.startswith("storygan.") for name in names)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its cause or context, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _refused(headers: dict[bytes, bytes]) -> int:
    """Return the status that refuses the request, or 0. The server enforces the announced length."""
    if b"transfer-encoding" in headers:
        return 411  # Length Required
    length = headers.get(b"content-length", b"0")
    return 413 if not length.isdigit() or len(length) > 10 or int(length) > MAX_BYTES else 0
