"""Bounds that uvicorn does not have: the number of connections, and the time in which a request arrives."""

from __future__ import annotations

import asyncio
import logging
import time

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 256
"""The descriptors of a process are often 1024."""
REQUEST_SECONDS = 10.0
"""In which a request must arrive, or twice that."""
MAX_RECORDS = 60
"""Lines of a log in a minute."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which closes connections without a whole request: late ones, and the oldest if too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; if there are too many, close the one that has waited longest for its request."""
        super().connection_made(transport)
        self.opened, self.late = self.loop.time(), False
        self.timer = self.loop.call_later(REQUEST_SECONDS, self.close_late)
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.is_waiting()]
            oldest = min(waiting, key=lambda each: each.opened)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def is_waiting(self) -> bool:
        """Return whether the request has not arrived yet."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def data_received(self, data: bytes) -> None:
        """Process a part of a request."""
        super().data_received(data)
        if not self.is_waiting():
            self.late = False

    def close_late(self) -> None:
        """Close the connection if its request has not arrived since the last call."""
        if self.late and self.is_waiting():
            self.transport.abort()
        else:
            self.late = self.is_waiting()
            self.timer = self.loop.call_later(REQUEST_SECONDS, self.close_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.timer.cancel()
        super().connection_lost(exc)


class RateLimit(logging.Filter):
    """Drop the records of a logger above `MAX_RECORDS` in a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.minute, self.records = 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        if (minute := int(time.monotonic() // 60)) != self.minute:
            self.minute, self.records = minute, 0
        self.records += 1
        return self.records <= MAX_RECORDS
