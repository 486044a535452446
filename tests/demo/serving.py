"""`storygan demo` as a user starts it, and a call of its API."""

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
    """Run the server with the shipped model, and yield the process and its address."""
    command = [sys.executable, "-m", "storygan", "demo", "--model", "clevr-sv", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match is not None
        yield process, match.group()
        process.terminate()
        assert process.wait(60) == 143


def generate(address: str, *data: object) -> str:
    """Return the events of a call of `generate`; the address ends with a slash."""
    body = json.dumps({"data": data}).encode()
    request = Request(f"{address}gradio_api/call/generate", body, {"Content-Type": "application/json"})
    with OPEN(request, timeout=120) as answer:
        event = json.load(answer)["event_id"]
    with OPEN(f"{address}gradio_api/call/generate/{event}", timeout=120) as stream:
        return str(stream.read().decode())
