"""Fuzz every reader of a user's file with atheris: python scripts/fuzz.py [--seconds 60] [READER ...]

Each reader (tests/fuzz/targets.py) runs in a process of its own, with a limit of memory and of seconds a content, and
starts from its sound and hostile examples. The package and the parsers in Python that it uses tell atheris which
branches a content takes; one that takes a new branch is kept, and changed further. What must not be (anything but a
content that is read or refused in one line; a crash; too long a time) is written to the folder of findings. Ends with 1
where there is one.

The table, in Markdown: contents tried, of these read; branches ("covered": after the examples and at the end) and the
contents that were kept for a new one.

`--replay` runs the examples alone, without atheris. Needs `pip install -e '.[dev,fuzz]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import inspect
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEMORY = 8 * 2**30  # bytes of address space; PyTorch and PyArrow take 3 of them
SLOWEST = 30  # seconds a content may take
PACKAGES = ["storygan", "yaml", "jsonargparse", "PIL"]  # whose branches guide
MODULES = ["json.decoder", "numpy.lib._format_impl", "pickle", "torch._weights_only_unpickler", "zipfile"]  # these too


def main() -> int:
    """Run the readers one after another, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("readers", nargs="*", help="parts of their names; none: all")
    parser.add_argument("--seconds", type=int, default=60, help="of fuzzing each")
    parser.add_argument("--replay", action="store_true", help="the examples alone")
    parser.add_argument("--findings", type=Path, default=ROOT / "build" / "fuzz", help="folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.findings, args.seconds, args.replay)
        return 0
    listed = subprocess.run([sys.executable, __file__, "--child", "?"], capture_output=True, text=True, check=True)
    names = json.loads(listed.stdout.splitlines()[-1])
    chosen = [name for name in names if not args.readers or any(part in name for part in args.readers)]
    print(
        "| reader | seconds | tried | read | covered | new | findings |\n|---|---:|---:|---:|---:|---:|---|", flush=True
    )
    bad, tried = 0, 0
    for name in chosen:
        count, read, seconds, findings = run(name, args)
        bad, tried = bad + len(findings), tried + count
        cells = [name, f"{seconds:.0f}", f"{count:,}", f"{read:,}", *grown(folder_of(name, args)), "; ".join(findings)]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{tried:,} contents, {bad} findings{f' in {args.findings}' if bad else ''}")
    return 1 if bad else 0


def folder_of(name: str, args: argparse.Namespace) -> Path:
    """Where a reader's log and findings lie."""
    return Path(args.findings) / re.sub(r"\W+", "-", name)


def grown(folder: Path) -> tuple[str, str]:
    """What libFuzzer's log says: branches covered, first and last; contents kept for a new one."""
    log = (folder / "log").read_text(errors="replace")
    covered = re.findall(r"^#\d+\s+(?:INITED|NEW|REDUCE|pulse|DONE)\s+cov: (\d+)", log, re.MULTILINE)
    return (f"{covered[0]} to {covered[-1]}" if covered else "-"), str(
        len(re.findall(r"^#\d+\s+NEW ", log, re.MULTILINE))
    )


def run(name: str, args: argparse.Namespace) -> tuple[int, int, float, list[str]]:
    """Fuzz one reader: (contents tried, of these read, seconds, what was found)."""
    folder = folder_of(name, args)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    command = [sys.executable, __file__, "--child", name, "--findings", str(folder), "--seconds", str(args.seconds)]
    command += ["--replay"] * args.replay
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    start = time.monotonic()
    with (folder / "log").open("wb") as log:
        limit = None if args.replay else args.seconds + 300
        try:
            code = subprocess.run(command, stdout=log, stderr=log, env=environment, timeout=limit).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = time.monotonic() - start
    counted = (folder / "counts").read_text().split() if (folder / "counts").exists() else ["0", "0"]
    findings = sorted(path.read_text().splitlines()[0] for path in folder.glob("*.txt"))
    findings += [path.name for path in folder.glob("*-*") if path.name.split("-")[0] in ("crash", "timeout", "oom")]
    if code and not findings:
        findings.append(f"ended with {code}: see {folder / 'log'}")
    return int(counted[0]), int(counted[1]), seconds, findings


class Judge:
    """What is done with each content, counted."""

    def __init__(self, name: str, folder: Path, scratch: Path) -> None:
        from tests.fuzz.targets import TARGETS, Finding, judge

        self.target, self.judge, self.finding = TARGETS[name], judge, Finding
        self.folder, self.scratch = folder, scratch
        self.tried = self.read = 0

    def __call__(self, content: bytes) -> None:
        """One content."""
        self.tried += 1
        (self.folder / "last").write_bytes(content)
        faulthandler.dump_traceback_later(2 * SLOWEST, exit=True)
        signal.alarm(SLOWEST)
        try:
            self.read += self.judge(self.target, self.scratch, content)
        except (self.finding, TooLong) as error:
            said = re.sub(r"0x[0-9a-f]+|\d+", "N", str(error).replace(str(self.scratch), ""))
            kind = hashlib.sha256(said[:60].encode()).hexdigest()[:8]
            (self.folder / f"{kind}.bin").write_bytes(content)
            (self.folder / f"{kind}.txt").write_text(f"{' '.join(str(error).split())[:200]}\n", errors="replace")
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
        if self.tried % 50 == 0:
            self.count()

    def count(self) -> None:
        """Leave the counts where the parent looks."""
        (self.folder / "counts").write_text(f"{self.tried} {self.read}")


class TooLong(Exception):
    """A content took too long."""


def child(name: str, folder: Path, seconds: int, replay: bool) -> None:
    """One reader, in this process, until the time is up."""
    sys.path.insert(0, str(ROOT))
    atheris: Any = None
    guided: Any = contextlib.nullcontext()
    if not replay and name != "?":
        import atheris as library

        atheris = library
        guided = atheris.instrument_imports(include=PACKAGES)
    with guided:
        from PIL import Image
        from tests.fuzz.targets import TARGETS

        Image.init()  # its formats, which it would import when it needs them

    if name == "?":
        print(json.dumps(list(TARGETS)))
        return
    if atheris:
        instrument_modules(atheris)
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shared) as scratch, tempfile.TemporaryDirectory(dir=shared) as corpus:
        one = Judge(name, folder, Path(scratch))
        for n, content in enumerate(TARGETS[name].prepare(Path(scratch))):
            if replay:
                one(content)
            else:
                (Path(corpus) / f"{n:05d}").write_bytes(content)
        one.count()
        if replay:
            (folder / "last").unlink()
            return
        options = [f"-max_total_time={seconds}", "-rss_limit_mb=0", "-max_len=4000000", f"-timeout={4 * SLOWEST}"]
        options += [f"-artifact_prefix={folder}/", "-print_final_stats=1", corpus]
        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


def instrument_modules(atheris: Any) -> None:
    """Those that were imported before atheris could change them; AssertionError where something is not guided."""
    for module in map(importlib.import_module, MODULES):
        for owner in (module, *(value for value in vars(module).values() if inspect.isclass(value))):
            for function in list(vars(owner).values()):
                if inspect.isfunction(function) and function.__module__ == module.__name__ and not guided_by(function):
                    atheris.instrument_func(function)
    import PIL.PngImagePlugin
    import yaml.scanner

    import storygan.files

    for function in (
        storygan.files.parse_json,
        yaml.scanner.Scanner.scan_plain,
        PIL.PngImagePlugin.PngStream.chunk_IHDR,
    ):
        assert guided_by(function), f"{function} does not tell which branches it takes"


def guided_by(function: Any) -> bool:
    """Whether a function tells atheris which branches it takes."""
    return "__ATHERIS_INSTRUMENTED__" in function.__code__.co_consts


def too_long(*_: object) -> None:
    """The alarm has rung."""
    raise TooLong(f"it takes more than {SLOWEST} s")


if __name__ == "__main__":
    sys.exit(main())
