"""What stands before the page's routes: a bound on what is sent, an answer to what cannot be read, and headers."""

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

MAX_BYTES = 2_000_000  # of a request's body; a story file may have 1 MB
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
)
MACHINES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
UNREADABLE = b"The page cannot read this request.\n"
_LOG = logging.getLogger(__name__)
_BLAMED: ContextVar[dict[str, bool]] = ContextVar("_BLAMED")
"""Of the request that is answered: whether the error that Gradio met, and answers itself, is the sender's."""


class Guard:
    """An ASGI application around another.

    Gradio answers 500 to much that it cannot read: bytes that are no text, a function that does not exist, too few
    values. Here that becomes 400, and a line in the log: the blame is the sender's (`senders_fault`), who must not be
    told that the server failed. What fails in drawing, or in any other code of ours, stays a 500 and is logged whole.
    Of what is drawn in its turn nothing changes: its errors come in the stream of its events.
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
    it; a full disk or memory is the machine's. A sound request that Gradio fails at is taken for the sender's fault.
    """
    if isinstance(error, UsageError):
        return True
    led = list(_led_to(error))
    if any(isinstance(one, MemoryError) or getattr(one, "errno", None) in MACHINES for one in led):
        return False
    below = [error.__traceback__ and error.__traceback__.tb_next, *(one.__traceback__ for one in led[1:])]
    names = (frame.f_globals.get("__name__", "") for tb in below for frame, _ in walk_tb(tb))
    return not any(name.startswith("storygan.") for name in names)


def _led_to(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from or in the handling of, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _refused(headers: dict[bytes, bytes]) -> int:
    """The status that refuses the request, or 0. The server holds a request to the length that it announces."""
    if b"transfer-encoding" in headers:
        return 411  # Length Required
    length = headers.get(b"content-length", b"0")
    return 413 if not length.isdigit() or len(length) > 10 or int(length) > MAX_BYTES else 0
