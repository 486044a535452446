"""Fuzz every reader of a user's file with atheris: python scripts/fuzz.py [--seconds 60] [READER ...]

Each reader (tests/fuzz/targets.py) runs in a process of its own, a fork of this one, with a limit of memory and of
seconds a content, and starts from some of its sound and hostile examples. The package and the parsers in Python that it
uses tell atheris which branches a content takes; one that takes a new branch is kept, and changed further. What must
not be (anything but a content that is read or refused in one line; a crash; too long a time) is written to the folder
of findings. Ends with 1 where there is one.

The table, in Markdown: contents tried, of these read; branches covered by the examples and at the end; contents that
were kept for a new one.

`--replay` runs the examples alone, without atheris. Needs `pip install -e '.[dev,fuzz]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import inspect
import io
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEMORY = 8 * 2**30  # bytes of address space; PyTorch and PyArrow take 3 of them
FORK = multiprocessing.get_context("fork")
SLOWEST = 30  # seconds a content may take
MAX_EXAMPLES, MAX_BYTES = 50, 20_000  # to start from, and of each but the first: all are read before the clock
PACKAGES = ["storygan", "yaml"]  # whose branches guide, and those of
MODULES = ["json.decoder", "numpy.lib._format_impl", "pickle", "torch._weights_only_unpickler", "zipfile", "PIL.Image"]
MODULES += [f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP")]


def main() -> int:
    """Run the readers one after another, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("readers", nargs="*", help="parts of their names; none: all")
    parser.add_argument("--seconds", type=int, default=60, help="of fuzzing each")
    parser.add_argument("--replay", action="store_true", help="the examples alone")
    parser.add_argument("--findings", type=Path, default=ROOT / "build" / "fuzz", help="folder")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}  # before torch is imported
    with contextlib.nullcontext() if args.replay else guidance():
        from tests.fuzz.targets import TARGETS
    if not args.replay:
        instrument_modules()
    chosen = [name for name in TARGETS if not args.readers or any(part in name for part in args.readers)]
    print("| reader | seconds | tried | read | examples | covered | new | findings |")
    print("|---|---:|---:|---:|---:|---:|---:|---|", flush=True)
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


def grown(folder: Path) -> list[str]:
    """What libFuzzer's log says: branches covered by the examples, and at the end; contents kept for a new one."""
    lines = re.findall(r"^#\d+\s+(\w+)\s+cov: (\d+)", (folder / "log").read_text(errors="replace"), re.MULTILINE)
    first = next((covered for what, covered in lines if what == "INITED"), "-")
    return [first, lines[-1][1] if lines else "-", str(sum(what == "NEW" for what, _ in lines))]


def run(name: str, args: argparse.Namespace) -> tuple[int, int, float, list[str]]:
    """Fuzz one reader: (contents tried, of these read, seconds, what was found)."""
    folder = folder_of(name, args)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    start = time.monotonic()
    process = FORK.Process(target=child, args=(name, folder, args.seconds, args.replay))
    process.start()
    process.join(None if args.replay else args.seconds + 300)
    process.kill()
    process.join()
    seconds = time.monotonic() - start
    counted = (folder / "counts").read_text().split() if (folder / "counts").exists() else ["0", "0"]
    findings = sorted(path.read_text().splitlines()[0] for path in folder.glob("*.txt"))
    findings += [path.name for path in folder.glob("*-*") if path.name.split("-")[0] in ("crash", "timeout", "oom")]
    if process.exitcode and not findings:
        findings.append(f"ended with {process.exitcode}: see {folder / 'log'}")
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
        (self.folder / "counts").write_text(f"{self.tried} {self.read}")  # where the parent looks


class TooLong(Exception):
    """A content took too long."""


def child(name: str, folder: Path, seconds: int, replay: bool) -> None:
    """One reader, in this process, until the time is up."""
    with (folder / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from tests.fuzz.targets import TARGETS

    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shared) as scratch, tempfile.TemporaryDirectory(dir=shared) as corpus:
        one = Judge(name, folder, Path(scratch))
        examples = iter(TARGETS[name].prepare(Path(scratch)))
        if replay:
            for content in examples:
                one(content)
            (folder / "last").unlink()
            return
        sound = next(examples)
        small = [content for content in examples if len(content) <= MAX_BYTES]
        for n, content in enumerate([sound, *small[:: len(small) // MAX_EXAMPLES + 1]]):
            (Path(corpus) / f"{n:05d}").write_bytes(content)
        options = [f"-max_total_time={seconds}", "-rss_limit_mb=0", "-max_len=40000000", f"-timeout={4 * SLOWEST}"]
        options += [f"-artifact_prefix={folder}/", "-print_final_stats=1", corpus]
        import atheris

        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


@contextlib.contextmanager
def guidance() -> Iterator[None]:
    """What is imported of PACKAGES meanwhile is made to tell atheris which branches it takes."""
    import atheris

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=PACKAGES):  # it names them all
        yield


def instrument_modules() -> None:
    """The same for MODULES, of packages too large for all of it. AssertionError where it did not work."""
    import atheris

    for module in map(importlib.import_module, MODULES):
        for owner in (module, *(value for value in vars(module).values() if inspect.isclass(value))):
            for function in list(vars(owner).values()):
                if inspect.isfunction(function) and function.__module__ == module.__name__ and not guided_by(function):
                    atheris.instrument_func(function)
    from PIL.PngImagePlugin import PngStream
    from yaml.scanner import Scanner

    from storygan.files import parse_json

    for function in (parse_json, Scanner.scan_plain, PngStream.chunk_IHDR):
        assert guided_by(function), f"{function} does not tell which branches it takes"


def guided_by(function: Any) -> bool:
    """Whether a function tells atheris which branches it takes."""
    return "__ATHERIS_INSTRUMENTED__" in function.__code__.co_consts


def too_long(*_: object) -> None:
    """The alarm has rung."""
    raise TooLong(f"it takes more than {SLOWEST} s")


if __name__ == "__main__":
    sys.exit(main())
