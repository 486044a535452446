"""The Guard: answers to malformed requests and errors of the application."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from storygan.demo.floor_plan import draw_plan
from storygan.demo.security import HEADERS, MALFORMED, Guard, Message, Send, record_error
from storygan.demo.server import Models
from storygan.demo.story_input import sentences_of
from storygan.errors import UsageError

POST = {"type": "http", "method": "POST", "path": "/x\n\ud800", "headers": [(b"host", b"localhost:7860")]}
START = {"type": "http.response.start", "status": 500}


def invalid_text() -> None:
    b"\xff".decode()


def no_such_name() -> None:
    {}["/x"]


def name_too_long() -> None:
    raise OSError(errno.ENAMETOOLONG, "too long")


def unknown_model() -> None:
    Models()["no"]


def in_our_code() -> None:
    draw_plan(None)  # type: ignore[arg-type]


def because_of_our_code() -> None:
    try:
        sentences_of(None)  # type: ignore[arg-type]
    except AttributeError as error:
        raise ValueError("raised by another library") from error


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "no space")


def because_of_a_full_disk() -> None:
    try:
        full_disk()
    except OSError as error:
        raise ValueError("raised by another library") from error


def no_memory() -> None:
    raise MemoryError


CLIENT_ERRORS = [invalid_text, no_such_name, name_too_long, unknown_model]
SERVER_ERRORS = [in_our_code, because_of_our_code, full_disk, because_of_a_full_disk, no_memory]


def answer(app: Callable[..., Any]) -> list[Message]:
    """Return what the Guard around the app sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(app)(dict(POST), None, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("fail", CLIENT_ERRORS)
def test_a_client_error_is_400(fail: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        fail()

    start, body = answer(app)
    assert start["status"] == 400
    assert set(HEADERS) <= set(start["headers"])
    assert body["body"] == MALFORMED
    (line,) = caplog.messages
    assert line.isprintable()
    assert "POST /x" in line


@pytest.mark.parametrize("fail", SERVER_ERRORS)
def test_a_server_error_is_raised(fail: Callable[[], None]) -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        fail()

    with pytest.raises((AttributeError, ValueError, OSError, MemoryError)):
        answer(app)


def test_an_error_within_an_answer_is_raised() -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        await send({**START, "status": 200})
        invalid_text()

    with pytest.raises(UnicodeDecodeError):
        answer(app)


@pytest.mark.parametrize("fail", [*CLIENT_ERRORS, *SERVER_ERRORS])
def test_a_500_that_gradio_answers_itself(fail: Callable[[], None]) -> None:
    """It stays a 500 unless the error is the client's."""

    async def app(scope: Message, receive: object, send: Send) -> None:
        try:
            fail()
        except Exception as error:
            record_error(error)
        await send(dict(START))

    assert answer(app)[0]["status"] == (400 if fail in CLIENT_ERRORS else 500)


OWN = {b"host": b"127.0.0.1:7860"}


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (0, OWN),
        (0, {b"host": b"LOCALHOST"}),
        (0, {b"host": b"[::1]:7860"}),
        (0, {**OWN, b"origin": b"http://127.0.0.1:7860"}),
        (0, {**OWN, b"origin": b"https://stories.example"}),
        (0, {b"host": b"stories.example", b"x-forwarded-host": b"stories.example"}),
        (421, {}),
        (421, {b"host": b""}),
        (421, {b"host": b"rebinding.example:7860"}),
        (421, {b"host": b"10.0.0.1:7860"}),
        (421, {b"host": b"[::1"}),
        (421, {**OWN, b"x-forwarded-host": b"elsewhere.example"}),
        (403, {**OWN, b"origin": b"https://elsewhere.example"}),
        (403, {**OWN, b"origin": b"http://127.0.0.1:8000"}),
        (403, {**OWN, b"origin": b"null"}),
        (403, {**OWN, b"origin": b"http://[::1"}),
        (415, {**OWN, b"content-type": b"Multipart/form-data; boundary=b"}),
        (411, {**OWN, b"transfer-encoding": b"chunked"}),
        (413, {**OWN, b"content-length": b"100001"}),
    ],
)
def test_what_is_refused(status: int, headers: dict[bytes, bytes]) -> None:
    guard = Guard(lambda *_: None, domains=["stories.example"])  # type: ignore[arg-type,return-value]
    assert guard.refused("POST", headers) == status


def test_a_page_for_other_machines_is_reached_by_any_address_and_no_foreign_name() -> None:
    guard = Guard(lambda *_: None, host="0.0.0.0")  # type: ignore[arg-type,return-value]
    assert guard.refused("GET", {b"host": b"10.0.0.1:7860"}) == 0
    assert guard.refused("GET", {b"host": socket.gethostname().encode()}) == 0
    assert guard.refused("GET", {b"host": b"rebinding.example"}) == 421


def test_a_name_that_is_no_name_is_a_client_error() -> None:
    for name in (["clevr-sv"], None, {}, 5):
        with pytest.raises(UsageError):
            Models()[name]  # type: ignore[index]
