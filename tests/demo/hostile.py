"""Requests to every route of the served application, with content that hypothesis generates."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st
from tests.demo.conftest import STORY

FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
FETCHED = {"path": "x", "url": "http://127.0.0.1:1/x", "meta": {"_type": "gradio.FileData"}}
TEXT = "\n".join(STORY)
NUMBERS = [-1, 0, 1, 2**31, 2**63, 10**400, 1e300, float("nan"), float("-inf")]
WORDS = ["", "generate", "clevr-sv", "red", "\ud800", "\0", "../../etc/passwd", "x" * 5000, TEXT]
SOUND: dict[str, list[Any]] = {  # values that a component of that kind takes
    "radio": ["clevr-sv", None],
    "textbox": [TEXT, STORY[0], "", None],
    "dropdown": ["Nothing", "Sample 1", None],
    "number": [1, 7, None],
}
JSON, FORM = b"application/json", b"multipart/form-data; boundary=b"
TYPES = [
    JSON,
    FORM,
    b"multipart/form-data",
    b"multipart/form-data; boundary=\xff",
    b"application/x-www-form-urlencoded",
]
TYPES += [b"application/json; charset=utf-16", b"text/plain", b"\xff", b""]
BROKEN = [b"", b"{", b"[" * 50_000, b'{"data":' * 20_000, b'{"fn_index": 1' + b"0" * 5000 + b"}", b"NaN", b"null"]
BROKEN += [b'{"data": ["\xff\xc0"]}', b"\xff\xfe{}", b"username=%00&password=%ff&grant_type=", b"%=%&" * 2000]
ENDS = [b"--b--\r\n", b"", b"--b", b"--c--\r\n"]
DISPOSITIONS = [b"", b'; filename="a.txt"', b'; filename="../../x"', b'; filename="\xff\0"', b"; filename*=utf-8''%ff"]
PART_HEADERS = [b"", b"Content-Type: text/plain\r\n", b"Content-Type: \xff\r\n", b"no header\r\n"]
FIELDS = [b"files", b"data", b"component_id", b"session_hash", b"fn_name", b"video", b"zoom_effects", b"", b"\xff"]
HEADERS = [b"cookie", b"host", b"origin", b"referer", b"range", b"if-range", b"if-none-match", b"accept-encoding"]
HEADERS += [b"accept-language", b"authorization", b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-user"]
ODD = [b"", b"\xff\xfe", b"[", b"http://[::1", b"a:b:c", b"x:99999999", b"bytes=9-1,,-", b"null", b"br;q=nan"]
ODD += [b"access-token=\xff; =;;", b"x" * 3000]
PLACES = ["generate", "predict", "x", "0", "-1", "9" * 20, "1" * 5000, "%00", "%ff", "..", "%2e%2e%2f", "client", "aac"]
PLACES += ["http://127.0.0.1:1/x", "http:/[::1"]
QUERIES = ["session_hash", "page", "deep_link", "upload_id", "size", "all_session", "all_endpoints", "__theme", "x"]
SESSIONS = ["s0", "s1"]  # no place: what is joined with them is not listened to


class Hostile(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([*NUMBERS, *WORDS]),
    st.sampled_from([FILE, FETCHED]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["path", "url", "meta", "value", "u", "v"]), inner, max_size=4)
    ),
    max_leaves=8,
)
numbers = st.integers(-1, 9) | values
events = (
    values
    | st.fixed_dictionaries({"frame": numbers, "sample": numbers})
    | st.fixed_dictionaries(
        {},
        optional={
            **{name: numbers for name in ("u", "v", "line", "remove", "suggest")},
            "attribute": st.sampled_from(["colour", "size", "x"]) | values,
            "value": st.sampled_from(["red", "pink"]) | values,
        },
    )
)
rest: dict[Any, st.SearchStrategy[Any]] = {
    "event_data": events,
    "event_id": st.sampled_from(SESSIONS) | values,
    "trigger_id": st.integers(0, 80) | values,
    "component_id": st.integers(0, 80) | values,
    "fn_name": st.sampled_from(["preprocess", "__init__", "x"]) | values,
    "batched": st.booleans() | values,
    "simple_format": st.booleans() | values,
    "oauth_token": values,
    "extra": values,
}
fields = st.fixed_dictionaries(
    {}, optional={**rest, "data": values, "fn_index": st.integers(-1, 99) | values, "session_hash": values}
)
parts = st.tuples(
    st.sampled_from(FIELDS), st.sampled_from(DISPOSITIONS), st.sampled_from(PART_HEADERS), st.binary(max_size=30)
).map(lambda part: b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n' % part)
forms = st.tuples(st.lists(parts, max_size=4).map(b"".join), st.sampled_from(ENDS)).map(b"".join)
places = st.sampled_from(PLACES) | st.text(min_size=1, max_size=8).map(
    lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")
)
queries = st.lists(st.tuples(st.sampled_from(QUERIES), places), max_size=3).map(
    lambda pairs: "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""
) | st.sampled_from(["?%", "?=&=&&", "?session_hash=%ff&session_hash=1"])
odd = st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(ODD), max_size=2).map(lambda found: [*found.items()])


def calls(config: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Calls of the page's handlers with about as many values as they take, sound ones among them."""
    kinds = {component["id"]: component["type"] for component in config["components"]}
    functions = [(f["id"], [kinds[c] for c in f["inputs"]]) for f in config["dependencies"] if f["backend_fn"]]

    def call(function: tuple[int, list[str]]) -> st.SearchStrategy[dict[str, Any]]:
        row = st.tuples(*(st.sampled_from(SOUND.get(kind, [None])) for kind in function[1])).map(list)
        spoiled = st.tuples(*(st.sampled_from(SOUND.get(kind, [None])) | values for kind in function[1])).map(list)
        data = row | spoiled | st.lists(values, max_size=6)
        head: dict[Any, Any] = {"fn_index": st.just(function[0]), "session_hash": st.sampled_from(SESSIONS)}
        return st.fixed_dictionaries({**head, "data": data}, optional=rest)

    return st.sampled_from(functions).flatmap(call)


def requests(routes: list[tuple[str, str]], config: dict[str, Any]) -> st.SearchStrategy[Hostile]:
    """Requests of these routes, (method, path with {names}), and of others' methods; config as the page gives it."""
    texts = (calls(config) | fields | values).map(lambda value: json.dumps(value).encode())
    bodies = st.one_of(
        st.tuples(st.just(JSON), texts),
        st.tuples(st.just(FORM), forms),
        st.tuples(st.sampled_from(TYPES), st.one_of(texts, forms, st.sampled_from(BROKEN), st.binary(max_size=60))),
    )
    gets = [route for route in routes if route[0] != "POST"]
    posts = [route for route in routes if route[0] == "POST"]
    others = [(method, path) for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "GET", "POST") for _, path in routes]

    @st.composite
    def request(draw: st.DrawFn) -> Hostile:
        kind = draw(st.sampled_from([posts, posts, posts, gets, gets, others]))
        method, path = draw(st.sampled_from(kind))
        path = re.sub(r"\{[^}]*\}", lambda _: draw(places), path) + draw(queries)
        headers = draw(odd)
        if method != "POST":
            return Hostile(method, path, headers, b"")
        content_type, body = draw(bodies)
        return Hostile(method, path, [*headers, (b"content-type", content_type)], body)

    return request()
