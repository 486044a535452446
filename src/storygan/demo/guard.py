"""What stands before the page's routes: a bound on what is sent, and headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BYTES = 2_000_000  # of a request's body; a story file may have 1 MB
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
)


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse what is too large, or does not say how large it is; else answer as the other does, with headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refused := _refused(dict(scope["headers"])):
            await with_headers(
                {"type": "http.response.start", "status": refused, "headers": [(b"content-length", b"0")]}
            )
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, with_headers)


def _refused(headers: dict[bytes, bytes]) -> int:
    """The status that refuses the request, or 0. The server holds a request to the length that it announces."""
    if b"transfer-encoding" in headers:
        return 411  # Length Required
    length = headers.get(b"content-length", b"0")
    return 413 if not length.isdigit() or len(length) > 10 or int(length) > MOST_BYTES else 0
