"""Write the hashes of the pins: python scripts/lock_hashes.py (`make lock` runs it).

`uv` gets the hashes of all files of each pinned version from the package index, so that they hold on every platform:

- constraints-hashed.txt: each pin of constraints.txt. `torch` has the hashes of PyPI's files and those of the CPU build
  that PIP_FIND_LINKS offers, if any: either may be installed.
- constraints-cuda-hashed.txt: the additional packages of PyPI's torch on Linux.
- constraints-render-hashed.txt: each pin of constraints-render.txt, which `make render-env` installs by these hashes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("", "-hashed", "-cuda-hashed", "-render", "-render-hashed")
PINS, HASHED, CUDA, RENDER_PINS, RENDER = (ROOT / f"constraints{part}.txt" for part in PARTS)
EXTRAS = ("dev", "fuzz")
INSTALL = "pip install --require-hashes --no-deps -r constraints-hashed.txt"
HEAD = {
    HASHED: f"# Made by scripts/lock_hashes.py from constraints.txt: {INSTALL}\n",
    CUDA: "# Made by scripts/lock_hashes.py: what PyPI's torch adds on Linux. Install it in the same way.\n",
    RENDER: "# Made by scripts/lock_hashes.py from constraints-render.txt: make render-env installs these.\n",
}

Lock = dict[str, tuple[str, list[str]]]
"""Name, as PyPI writes it -> the line with its version and marker, and its hashes."""


def main() -> None:
    """Resolve twice: with the local build of torch, and with PyPI's."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        pip = [f"{scratch}/bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", "uv"]
        subprocess.run(pip, check=True)
        links = os.environ.get("PIP_FIND_LINKS", "")
        wanted = ["pyproject.toml", "-c", str(PINS), *(part for extra in EXTRAS for part in ("--extra", extra))]
        here, everywhere = resolved(Path(scratch), wanted, links), resolved(Path(scratch), wanted)
        write(RENDER, resolved(Path(scratch), ["--no-deps", str(RENDER_PINS)]))
    line, hashes = everywhere["torch"]
    everywhere["torch"] = (line, sorted({*hashes, *here["torch"][1]}))
    pinned = set(read(PINS))
    write(HASHED, {name: lock for name, lock in everywhere.items() if name in pinned})
    write(CUDA, {name: lock for name, lock in everywhere.items() if name not in pinned})
    if missing := pinned - set(everywhere):
        sys.exit(f"pinned, and not needed: {', '.join(sorted(missing))}: run make lock")


def resolved(scratch: Path, wanted: list[str], links: str = "") -> Lock:
    """Resolve requirements and their dependencies, with hashes."""
    lock = scratch / "lock.txt"
    lock.unlink(missing_ok=True)  # uv keeps the versions of an existing file
    command = [
        f"{scratch}/bin/uv",
        "pip",
        "compile",
        "-q",
        "--no-config",
        "--system-certs",
        "--python-version",
        "3.11.7",
    ]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "-o", str(lock)]
    command += ["--find-links", links] if links else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    subprocess.run([*command, *wanted], check=True, cwd=ROOT, env=environment)
    return read(lock)


def read(path: Path) -> Lock:
    """Read a requirements file of pins, with or without hashes."""
    lock: Lock = {}
    name = ""
    for line in path.read_text().splitlines():
        line = line.split(" #")[0].strip(" \\")
        if line.startswith("--hash="):
            lock[name][1].append(line)
        elif line and not line.startswith("#"):
            name = re.split(r"[=; \[]", line)[0].lower().replace("_", "-").replace(".", "-")
            lock[name] = (line, [])
    return lock


def write(path: Path, lock: Lock) -> None:
    """Write a requirements file, each pin with its hashes."""
    lines = [" \\\n    ".join([line, *hashes]) for _, (line, hashes) in sorted(lock.items())]
    path.write_text(HEAD[path] + "".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
