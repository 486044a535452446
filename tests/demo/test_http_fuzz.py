"""Hostile requests to the page as a user starts it: no answer is a server error, and the server keeps generating."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.demo.hostile import BROKEN, FORM, JSON, TEXT, Hostile, requests
from tests.demo.serving import generate, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
REQUESTS = 300
PATIENCE = 30  # seconds for an answer to begin; most take 0.3
NEEDED = {
    "/",
    "/config",
    "/theme.css",
    "/login",
    "/gradio_api/info",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
}
NEEDED |= {"/gradio_api/call/{api_name}", "/gradio_api/run/{api_name}", "/gradio_api/api/{api_name}"}
NEEDED |= {"/gradio_api/upload", "/gradio_api/heartbeat/{session_hash}", "/gradio_api/component_server"}
NEEDED |= {"/gradio_api/startup-events", "/gradio_api/reset", "/gradio_api/cancel", "/gradio_api/token"}


def post(path: str, body: bytes, content_type: bytes = JSON) -> Hostile:
    return Hostile("POST", f"/gradio_api/{path}", [(b"content-type", content_type)], body)


# Found by the first runs of the test below: each was a 500.
FOUND = {
    "a body that is no text": post("queue/join", b"\xff", b"text/plain"),
    "a form where JSON belongs": post("reset", b'--b\r\nX: "\xff"\r\n\r\n\r\n--b--\r\n', FORM),
    "half a surrogate pair": post("cancel", b'{"event_id": ["\\ud800"]}'),
    "no such name": post("call/no-such-name", b'{"data": []}'),
    "no such name, version 2": post("call/v2/no-such-name", b"{}"),
    "no such argument": post("call/v2/generate", b'{"no_such_argument": 1}'),
    "no such function": post("queue/join", b'{"data": [], "fn_index": 9999, "session_hash": "x"}'),
    "no such component": post(
        "component_server", b'{"data": 1, "component_id": -1, "session_hash": "x", "fn_name": ""}'
    ),
    "a form without its fields": post("component_server", b"--b--\r\n", FORM),
    "a host that is none": Hostile("GET", "/", [(b"x-forwarded-host", b"a\xff; =")], b""),
    "an address that is none": Hostile("GET", "/gradio_api/proxy=%00", [], b""),
    "a name too long for a file": Hostile("GET", "/svelte/" + "1" * 5000, [], b""),
}
CALLS: dict[str, tuple[str, list[object], object]] = {  # of handlers without the queue: name, values, event
    "too few values": ("check_text", [], None),
    "a value that is no choice": ("check_text", ["no such model", ""], None),
    "a handler of the browser": ("js_fn", [], None),
    "no model": ("random_story", [None], None),
    "no text": ("open_file", ["clevr-sv", None], None),
    "no samples": ("pictures.select", [None], {"frame": 1, "sample": -1}),
    "a click without a place": ("check.select", ["clevr-sv", ""], [1]),
    "a click far outside": ("check.select", ["clevr-sv", ""], {"u": 10**400, "v": None}),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("here")) as (_, address):
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    limits = httpx.Limits(max_keepalive_connections=0)  # an answer to a body that was not read ends the connection
    with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE, limits=limits) as client:
        yield client


def answer_of(client: httpx.Client, hostile: Hostile) -> tuple[int, bytes]:
    """Return status and body of the answer, of a stream the first chunk; fail on a server error."""
    start = time.monotonic()
    request = client.build_request(hostile.method, hostile.path, headers=hostile.headers, content=hostile.body)
    answer = client.send(request, stream=True)
    try:
        stream = "event-stream" in answer.headers.get("content-type", "")
        body = next(answer.iter_bytes(), b"") if stream else answer.read()
    finally:
        answer.close()
    assert answer.status_code < 500, body[:500]
    assert b"Traceback" not in body
    assert time.monotonic() - start < PATIENCE
    return answer.status_code, body


def test_no_random_request_is_a_server_error(client: httpx.Client, address: str) -> None:
    """Requests of every route in the schema of the served application."""
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) >= NEEDED
    routes = sorted((method.upper(), path) for path, methods in paths.items() for method in methods)
    statuses: Counter[int] = Counter()

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=REQUESTS,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(routes, client.get("/config").json()))
    def send(hostile: Hostile) -> None:
        statuses[answer_of(client, hostile)[0]] += 1

    start = time.monotonic()
    send()
    print(f"{statuses.total()} requests of {len(routes)} routes in {time.monotonic() - start:.0f} s: {dict(statuses)}")
    assert statuses[200] > REQUESTS / 20, "too few valid requests"
    assert statuses[400] + statuses[422] > REQUESTS / 20, "too few invalid requests"
    assert "data:image/webp" in generate(address, "clevr-sv", TEXT, 1, 7)


@pytest.mark.parametrize("name", FOUND)
def test_malformed_requests_found_by_fuzzing_are_refused(client: httpx.Client, name: str) -> None:
    status, body = answer_of(client, FOUND[name])
    assert status in (200, 400, 415, 421), body
    assert len(body.splitlines()) <= 1 or status == 200


@pytest.mark.parametrize("name", CALLS)
def test_malformed_calls_are_refused(client: httpx.Client, name: str) -> None:
    handler, data, event = CALLS[name]
    config = client.get("/config").json()
    names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    functions = {each["api_name"]: each["id"] for each in config["dependencies"]}
    functions |= {
        f"{names.get(c)}.{event}": each["id"] for each in config["dependencies"] for c, event in each["targets"]
    }
    body = {"data": data, "fn_index": functions[handler], "session_hash": "x", "event_data": event}
    status, answer = answer_of(client, post("run/x", json.dumps(body).encode()))
    assert status in (200, 400), answer
    assert len(answer.splitlines()) <= 1 or status == 200


@pytest.mark.parametrize("body", BROKEN)
def test_a_broken_call_is_refused(client: httpx.Client, body: bytes) -> None:
    assert answer_of(client, post("run/generate", body))[0] in (400, 413, 422)


def test_the_api_does_not_bypass_the_queue(client: httpx.Client) -> None:
    data = ["clevr-sv", TEXT, 1, 7, None]
    assert answer_of(client, post("run/generate", json.dumps({"data": data}).encode()))[0] == 404
