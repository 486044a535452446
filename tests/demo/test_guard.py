"""What the Guard answers where the application around which it stands fails."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import pytest

from storygan.demo.floor_plan import draw_plan
from storygan.demo.security import HEADERS, UNREADABLE, Guard, Message, Send, blame
from storygan.demo.server import Models
from storygan.demo.story_input import sentences_of

POST = {"type": "http", "method": "POST", "path": "/x\n\ud800", "headers": []}
START = {"type": "http.response.start", "status": 500}


def unreadable() -> None:
    b"\xff".decode()


def no_such_name() -> None:
    {}["/x"]


def name_too_long() -> None:
    raise OSError(errno.ENAMETOOLONG, "too long")


def unknown_model() -> None:
    Models()["no"]


def in_our_code() -> None:
    draw_plan(None, 4)  # type: ignore[arg-type]


def because_of_our_code() -> None:
    try:
        sentences_of(None)  # type: ignore[arg-type]
    except AttributeError as error:
        raise ValueError("told by another library") from error


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "no space")


def because_of_a_full_disk() -> None:
    try:
        full_disk()
    except OSError as error:
        raise ValueError("told by another library") from error


def no_memory() -> None:
    raise MemoryError


SENDERS = [unreadable, no_such_name, name_too_long, unknown_model]
NOT_SENDERS = [in_our_code, because_of_our_code, full_disk, because_of_a_full_disk, no_memory]


def answer(app: Callable[..., Any]) -> list[Message]:
    """What the Guard around the app sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(app)(dict(POST), None, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("fail", SENDERS)
def test_what_cannot_be_read_is_refused(fail: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        fail()

    start, body = answer(app)
    assert start["status"] == 400
    assert set(HEADERS) <= set(start["headers"])
    assert body["body"] == UNREADABLE
    (line,) = caplog.messages
    assert line.isprintable()
    assert "POST /x" in line


@pytest.mark.parametrize("fail", NOT_SENDERS)
def test_what_fails_with_us_is_not_hidden(fail: Callable[[], None]) -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        fail()

    with pytest.raises((AttributeError, ValueError, OSError, MemoryError)):
        answer(app)


def test_what_fails_within_an_answer_is_not_answered_twice() -> None:
    async def app(scope: Message, receive: object, send: Send) -> None:
        await send({**START, "status": 200})
        unreadable()

    with pytest.raises(UnicodeDecodeError):
        answer(app)


@pytest.mark.parametrize("fail", [*SENDERS, *NOT_SENDERS])
def test_a_500_that_gradio_answers_itself(fail: Callable[[], None]) -> None:
    """It stays one but where the blame is the sender's."""

    async def app(scope: Message, receive: object, send: Send) -> None:
        try:
            fail()
        except Exception as error:
            blame(error)
        await send(dict(START))

    assert answer(app)[0]["status"] == (400 if fail in SENDERS else 500)
