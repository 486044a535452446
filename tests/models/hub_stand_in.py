"""A stand-in for the Hugging Face hub on this machine: what huggingface_hub asks for to create, fill and fetch a
repository.

Large files (`.safetensors`, `.parquet`) go the way of git LFS (the hub also knows Xet; the tests turn it off), small
ones inside the commit. It keeps every commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_of_the_test"
Tree = dict[str, bytes]


@dataclass
class Hub:
    """What the stand-in knows."""

    url: str = ""
    commits: dict[str, list[tuple[str, Tree]]] = field(default_factory=dict)
    """By repository: (sha, files) of each commit, oldest first."""
    large: dict[str, bytes] = field(default_factory=dict)
    """LFS objects by SHA-256."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request."""

    def commit(self, repo: str, files: Tree) -> str:
        tree = {**(self.commits[repo][-1][1] if self.commits[repo] else {}), **files}
        sha = hashlib.sha1(repr((repo, len(self.commits[repo]), sorted(tree))).encode()).hexdigest()
        self.commits[repo].append((sha, tree))
        return sha

    def at(self, repo: str, revision: str) -> tuple[str, Tree] | None:
        found = [commit for commit in self.commits.get(repo, []) if revision in (commit[0], "main")]
        return found[-1] if found else None


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def handle_request(self) -> None:
        content = self.body()
        self.hub.asked.append((self.command, self.path))
        path = self.path.split("?")[0]
        signed = path.startswith("/lfs/")  # such addresses need no token
        if self.command in ("POST", "PUT") and not signed and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        for method, pattern, respond in ROUTES:
            if (match := re.fullmatch(pattern, path)) and self.command in method:
                return respond(self, content, *match.groups())
        return self.answer(404, {"error": "no such route"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def create(self, content: bytes) -> None:
        values = json.loads(content)
        repo = f"{values['organization']}/{values['name']}" if values.get("organization") else values["name"]
        known = repo in self.hub.commits
        if not known:
            self.hub.commits[repo] = []
            self.hub.commit(repo, {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        self.answer(409 if known else 200, {"url": f"{self.hub.url}/{repo}", "id": repo, "name": repo})

    def validate(self, content: bytes) -> None:
        front_matter = json.loads(content)["content"].split("---")[1]
        wrong = [f"no {name}" for name in ("license", "library_name", "tags") if f"{name}:" not in front_matter]
        self.answer(400 if wrong else 200, {"errors": [{"message": text} for text in wrong], "warnings": []})

    def preupload(self, content: bytes, repo: str, revision: str) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith((".safetensors", ".parquet")) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(content)["files"]
        ]
        self.answer(200, {"files": files})

    def batch(self, content: bytes, repo: str) -> None:
        objects = [
            {**file, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{file['oid']}"}}}
            for file in json.loads(content)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def put_large(self, content: bytes, oid: str) -> None:
        matches = hashlib.sha256(content).hexdigest() == oid
        if matches:
            self.hub.large[oid] = content
        self.answer(200 if matches else 400)

    def add_commit(self, content: bytes, repo: str, revision: str) -> None:
        files: Tree = {}
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        sha = self.hub.commit(repo, files)
        self.answer(200, {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo}/commit/{sha}"})

    def info(self, _: bytes, repo: str, revision: str | None = None) -> None:
        found = self.hub.at(repo, revision or "main")
        if found is None:
            error = "RevisionNotFound" if repo in self.hub.commits else "RepoNotFound"
            return self.answer(404, {"error": error}, X_Error_Code=error)
        siblings = [{"rfilename": name} for name in found[1]]
        return self.answer(200, {"id": repo, "modelId": repo, "sha": found[0], "private": False, "siblings": siblings})

    def tree(self, _: bytes, repo: str, revision: str) -> None:
        found = self.hub.at(repo, revision)
        assert found is not None
        entries = [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for name, data in found[1].items()
        ]
        self.answer(200, entries)

    def resolve(self, _: bytes, repo: str, revision: str, name: str) -> None:
        found = self.hub.at(repo, revision)
        if found is None or name not in found[1]:
            return self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        data = found[1][name]
        return self.answer(200, data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=found[0])


KIND, REPO, PART = r"(?:models|datasets)", r"([\w.-]+/[\w.-]+)", r"([\w.-]+)"
ROUTES: list[tuple[tuple[str, ...], str, Any]] = [
    (("POST",), "/api/repos/create", Answers.create),
    (("POST",), "/api/validate-yaml", Answers.validate),
    (("POST",), f"/api/{KIND}/{REPO}/preupload/{PART}", Answers.preupload),
    (("POST",), f"/(?:datasets/)?{REPO}.git/info/lfs/objects/batch", Answers.batch),
    (("PUT",), f"/lfs/{PART}", Answers.put_large),
    (("POST",), f"/api/{KIND}/{REPO}/commit/{PART}", Answers.add_commit),
    (("GET",), f"/api/{KIND}/{REPO}", Answers.info),
    (("GET",), f"/api/{KIND}/{REPO}/revision/{PART}", Answers.info),
    (("GET",), f"/api/{KIND}/{REPO}/tree/{PART}", Answers.tree),
    (("GET", "HEAD"), f"/(?:datasets/)?{REPO}/resolve/{PART}/(.+)", Answers.resolve),
]


@contextmanager
def stand_in() -> Iterator[Hub]:
    """A hub at `hub.url` until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Answers,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
