"""What stands before the page's routes: a bound on what is sent, an answer to what cannot be read, and headers."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextvars import ContextVar
from traceback import extract_tb, walk_tb
from types import FrameType
from typing import Any

from storygan.types import UsageError, printable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BYTES = 2_000_000  # of a request's body; a story file may have 1 MB
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
)
UNREADABLE = b"The page cannot read this request.\n"
_LOG = logging.getLogger(__name__)
_BLAMED: ContextVar[dict[str, bool]] = ContextVar("_BLAMED")
"""Of the request that is answered: whether the error that Gradio met, and answers itself, is the sender's."""


class Guard:
    """An ASGI application around another.

    Gradio answers 500 to much that it cannot read: bytes that are no text, a function that does not exist, too few
    values. Here that becomes 400, and a line in the log: the blame is the sender's (`senders_fault`), who must not be
    told that the server failed. What fails in drawing, or in any other code of ours, stays a 500 and is logged whole.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse what is too large, does not say how large it is, or cannot be read; else answer as the other does,
        with headers."""
        blamed: dict[str, bool] = {}
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *HEADERS]
                if message["status"] == 500 and blamed.get("sender"):
                    message["status"] = 400
            await send(message)

        async def refuse(status: int, told: bytes = b"") -> None:
            headers = [(b"content-length", str(len(told)).encode()), (b"content-type", b"text/plain")]
            await with_headers({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": told})

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := _refused(dict(scope["headers"])):
            await refuse(refused)
        else:
            _BLAMED.set(blamed)
            try:
                await self.app(scope, receive, with_headers)
            except Exception as error:
                if begun or not senders_fault(error):
                    raise
                place = extract_tb(error.__traceback__)[-1]
                asked = printable(f"{scope['method']} {scope['path']}", 200)
                _LOG.warning(f"400 to {asked}: {type(error).__name__} at {place.filename}:{place.lineno}")
                await refuse(400, UNREADABLE)


def blame(error: Exception) -> None:
    """Tell the Guard of the error for which Gradio is about to answer 500 itself. No request: nothing to tell."""
    _BLAMED.get({})["sender"] = senders_fault(error)


def senders_fault(error: Exception) -> bool:
    """Whether an error that the caller has just caught is the request's, not ours and not the machine's.

    It is where our code says so (UsageError), and where Gradio and what it stands on fail before any code of ours is
    called: all that they work on until then is the request. What is raised below our code is ours, whatever raised
    it; a full disk or memory is the machine's.
    """
    if isinstance(error, UsageError):
        return True
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG):
        return False
    return not any(frame.f_globals.get("__name__", "").startswith("storygan.") for frame in _below(error))


def _below(error: BaseException) -> Iterator[FrameType]:
    """The frames of an error, and of those that led to it, below the one that caught it."""
    assert error.__traceback__ is not None
    yield from (frame for frame, _ in walk_tb(error.__traceback__.tb_next))
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
        yield from (frame for frame, _ in walk_tb(error.__traceback__))


def _refused(headers: dict[bytes, bytes]) -> int:
    """The status that refuses the request, or 0. The server holds a request to the length that it announces."""
    if b"transfer-encoding" in headers:
        return 411  # Length Required
    length = headers.get(b"content-length", b"0")
    return 413 if not length.isdigit() or len(length) > 10 or int(length) > MOST_BYTES else 0
