"""Half-open connections do not stop the server; its log is bounded."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from tests.demo.serving import OPEN

from storygan.demo import connections
from storygan.demo.connections import MAX_RECORDS, BoundedProtocol, RateLimit
from storygan.demo.security import Message, Send


async def app(scope: Message, receive: object, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve an application with at most 5 connections and half a second for a request."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def test_half_open_connections_do_not_stop_the_answers(port: int) -> None:
    half = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(20)]
    half[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    with OPEN(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        assert answer.read() == b"here"
    start = time.monotonic()
    for connection in half:
        with connection:
            try:
                while connection.recv(1000):
                    pass
            except ConnectionResetError:
                pass
    assert time.monotonic() - start < 50


def test_a_log_is_bounded() -> None:
    limit, record = RateLimit(), logging.makeLogRecord({})
    assert MAX_RECORDS <= sum(limit.filter(record) for _ in range(1000)) <= 2 * MAX_RECORDS
