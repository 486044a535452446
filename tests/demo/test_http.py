"""The page's HTTP interface: no access to files, bounded bodies, security headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.demo.serving import serving

from storygan.models.storygan import SHIPPED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SECRETS = (b"root:x:0:0", b"from __future__", b"imagegan")  # of /etc/passwd, of the source, of a model's folder


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the server's working folder `here` and its temporary folder `tmp`."""
    around = tmp_path_factory.mktemp("around")
    for name in ("here", "tmp"):
        (around / name).mkdir()
    return around


@pytest.fixture(scope="module")
def address(around: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(around / "tmp"))
        with serving(around / "here") as (_, address):
            yield address.rstrip("/")


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        yield client


def beginning(client: httpx.Client, method: str, path: str, **request: Any) -> tuple[int, bytes]:
    """Return status and up to 4 kB of the answer; of an event stream the status only."""
    with client.stream(method, path, **request) as answer:
        if "event-stream" in answer.headers.get("content-type", ""):
            return answer.status_code, b""
        return answer.status_code, next(answer.iter_bytes(4096), b"")


def test_no_file_outside_its_folder_is_served(client: httpx.Client, tmp_path: Path) -> None:
    own = tmp_path / "secret.txt"
    own.write_text("root:x:0:0")
    targets = ["/etc/passwd", str(own), str(SHIPPED / "clevr-sv/config.json"), str(Path(__file__)), "pyproject.toml"]
    targets += ["file:///etc/passwd", "../" * 12 + "etc/passwd", "%2e%2e/" * 12 + "etc/passwd", "/proc/self/environ"]
    targets += ["http://127.0.0.1:1/x", "/dev/zero", ".", "~/.bashrc"]
    served = []
    for target in targets:
        for route in ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/gradio_api/proxy=", "/static/", "/assets/"):
            status, body = beginning(client, "GET", f"{route}{target}")
            if status < 300 or any(secret in body for secret in SECRETS):
                served.append((route, target, status, body[:80]))
    assert served == []


def test_no_file_is_uploaded(client: httpx.Client, around: Path) -> None:
    """The page reads files in the browser."""
    before = {path for path in around.rglob("*") if path.is_file()}
    for name in ("x", "../../x", str(around / "absolute")):
        assert client.post("/gradio_api/upload", files={"files": (name, b"written")}).status_code == 415
    assert {path for path in around.rglob("*") if path.is_file()} == before


def test_other_sites_do_not_reach_the_page(client: httpx.Client) -> None:
    for path in ("/", "/config"):
        assert client.get(path, headers={"Host": "rebinding.example"}).status_code == 421
        assert client.get(path, headers={"X-Forwarded-Host": "elsewhere.example"}).status_code == 421
    answer = client.post(
        "/gradio_api/call/generate", json={"data": []}, headers={"Origin": "https://elsewhere.example"}
    )
    assert answer.status_code == 403


def test_bodies_are_bounded(client: httpx.Client) -> None:
    large = b"x" * 3_000_000
    assert client.post("/gradio_api/queue/join", content=large).status_code == 413
    body = json.dumps({"data": ["clevr-sv", "x" * 3_000_000, 1, 7]}).encode()
    answer = client.post("/gradio_api/call/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    chunked = client.post(
        "/gradio_api/call/generate", content=iter([body]), headers={"content-type": "application/json"}
    )
    assert chunked.status_code == 411


def test_headers(client: httpx.Client) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/theme.css", "/no-such-page"):
        headers = client.get(path, headers={"Origin": "https://elsewhere.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
        assert headers.get("access-control-allow-origin") in (None, client.base_url)
