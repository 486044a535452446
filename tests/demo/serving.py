"""`storygan demo` as a user starts it, and a drawing of it as a script asks for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

OPEN = build_opener(ProxyHandler({})).open  # straight to the server


@contextmanager
def serving(folder: Path, port: int = 0, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, of the shipped model, and the address of its page."""
    command = [sys.executable, "-m", "storygan", "demo", "--model", "clevr-sv", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match is not None
        yield process, match.group()
        process.terminate()
        assert process.wait(60) == 143


def draw(address: str, *data: object) -> str:
    """What the page at the address, which ends with a slash, shows in the end."""
    body = json.dumps({"data": data}).encode()
    request = Request(f"{address}gradio_api/call/draw", body, {"Content-Type": "application/json"})
    with OPEN(request, timeout=120) as answer:
        event = json.load(answer)["event_id"]
    with OPEN(f"{address}gradio_api/call/draw/{event}", timeout=120) as stream:
        return str(stream.read().decode())
