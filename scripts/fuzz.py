"""Fuzz every reader of files from users with atheris: python scripts/fuzz.py [--seconds 60] [READER ...]

Each reader (tests/fuzz/readers.py) runs in a forked process, with limits of memory and of seconds per content. Coverage
of the package and of the Python parsers that it uses guides the mutation of the examples. Contents that make a reader
crash, hang, or raise anything else than a one-line error are written to the folder of findings; exit code 1.

Prints a Markdown table: contents tried, of these accepted; branches covered by the examples and at the end; contents
kept because they took a new branch. `--replay` runs only the examples, without atheris. `--runs` and `--seed`
repeat a fuzzing.

`make fuzz` installs what it needs.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import inspect
import io
import itertools
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
MAX_MEMORY = 8 * 2**30  # bytes of address space; PyTorch and PyArrow take 3 GiB
MAX_SECONDS = 30  # per content
MAX_EXAMPLES, MAX_BYTES = 50, 20_000  # of the corpus, except the first
PACKAGES = ["storygan", "yaml"]  # instrumented, with these modules of larger packages
MODULES = ["json.decoder", "numpy.lib._format_impl", "pickle", "torch._weights_only_unpickler", "zipfile", "PIL.Image"]
MODULES += [f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm", "Tiff", "WebP")]


def main() -> int:
    """Run the readers one after another, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("readers", nargs="*", help="parts of their names; none: all")
    parser.add_argument("--seconds", type=int, default=60, help="of fuzzing each reader")
    parser.add_argument("--runs", type=int, default=-1, help="contents at most, examples included; -1: no limit")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0: another each time")
    parser.add_argument("--replay", action="store_true", help="run only the examples")
    parser.add_argument("--findings", type=Path, default=ROOT / "build" / "fuzz", help="folder")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}  # before torch is imported
    with contextlib.nullcontext() if args.replay else instrumented_imports():
        from tests.fuzz.readers import READERS
    if not args.replay:
        instrument_modules()
    print("| reader | seconds | tried | accepted | examples | covered | new | findings |")
    print("|---|---:|---:|---:|---:|---:|---:|---|", flush=True)
    found = 0
    for name in READERS:
        if not args.readers or any(part in name for part in args.readers):
            cells, findings = fuzz(name, args)
            found += len(findings)
            print(f"| {' | '.join([name, *cells, '; '.join(findings)])} |", flush=True)
    print(f"\n{found} findings{f' in {args.findings}' if found else ''}")
    return 1 if found else 0


def fuzz(name: str, args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Fuzz one reader in a forked process; return its cells of the table, and the findings."""
    folder = args.findings / re.sub(r"\W+", "-", name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    start = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=child, args=(name, folder, args))
    process.start()
    process.join(None if args.replay else args.seconds + 300)
    process.kill()
    process.join()
    counts = (folder / "counts").read_text().split() if (folder / "counts").exists() else ["0", "0"]
    log = (folder / "log").read_text(errors="replace")  # libFuzzer's
    events = re.findall(r"^#\d+\s+(\w+)\s+cov: (\d+)", log, re.MULTILINE)
    examples = next((covered for event, covered in events if event == "INITED"), "-")
    new = str(sum(event == "NEW" for event, _ in events))
    findings = sorted(path.read_text().splitlines()[0] for path in folder.glob("*.txt"))
    findings += [path.name for path in folder.glob("*-*") if path.name.split("-")[0] in ("crash", "timeout", "oom")]
    if process.exitcode and not findings:
        findings.append(f"exit code {process.exitcode}: see {folder / 'log'}")
    return [f"{time.monotonic() - start:.0f}", *counts, examples, events[-1][1] if events else "-", new], findings


class TooSlow(BaseException):
    """A content takes more than MAX_SECONDS. No reader catches it."""


class Checker:
    """Check contents with one reader; count them and write findings."""

    def __init__(self, name: str, folder: Path, scratch: Path) -> None:
        from tests.fuzz.readers import READERS

        self.reader, self.folder, self.scratch = READERS[name], folder, scratch
        self.tried = self.accepted = 0

    def __call__(self, content: bytes) -> None:
        """Check one content."""
        from tests.fuzz.harness import Finding, check

        self.tried += 1
        (self.folder / "last").write_bytes(content)
        faulthandler.dump_traceback_later(2 * MAX_SECONDS, exit=True)
        signal.alarm(MAX_SECONDS)
        try:
            self.accepted += check(self.reader, self.scratch, content)
        except (Finding, TooSlow) as error:
            message = re.sub(r"0x[0-9a-f]+|\d+", "N", str(error).replace(str(self.scratch), ""))
            kind = hashlib.sha256(message[:60].encode()).hexdigest()[:8]  # one finding per kind of message
            (self.folder / f"{kind}.bin").write_bytes(content)
            (self.folder / f"{kind}.txt").write_text(f"{' '.join(str(error).split())[:200]}\n", errors="replace")
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
        (self.folder / "counts").write_text(f"{self.tried} {self.accepted}")


def child(name: str, folder: Path, args: argparse.Namespace) -> None:
    """Fuzz one reader in this process, with limited memory."""
    with (folder / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, time_out)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shared) as scratch, tempfile.TemporaryDirectory(dir=shared) as corpus:
        checker = Checker(name, folder, Path(scratch))
        examples = itertools.chain(checker.reader.prepare(Path(scratch)), checker.reader.refused.values())
        if args.replay:
            for content in examples:
                checker(content)
            return
        first = next(examples)
        small = [content for content in examples if len(content) <= MAX_BYTES]
        for n, content in enumerate([first, *small[:: len(small) // MAX_EXAMPLES + 1]]):
            (Path(corpus) / f"{n:05d}").write_bytes(content)
        options = [f"-max_total_time={args.seconds}", f"-runs={args.runs}", f"-seed={args.seed}"]
        options += ["-rss_limit_mb=0", "-max_len=40000000", f"-timeout={4 * MAX_SECONDS}"]
        import atheris

        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", corpus], checker)
        atheris.Fuzz()


@contextlib.contextmanager
def instrumented_imports() -> Iterator[None]:
    """Instrument the modules of PACKAGES that the block imports."""
    import atheris

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=PACKAGES):
        yield


def instrument_modules() -> None:
    """Instrument the functions of MODULES. Raises AssertionError where instrumentation did not work."""
    import atheris

    def is_instrumented(function: Any) -> bool:
        return "__ATHERIS_INSTRUMENTED__" in function.__code__.co_consts

    for module in map(importlib.import_module, MODULES):
        for owner in (module, *(value for value in vars(module).values() if inspect.isclass(value))):
            for function in list(vars(owner).values()):
                own = inspect.isfunction(function) and function.__module__ == module.__name__
                if own and not is_instrumented(function):
                    atheris.instrument_func(function)
    from PIL.PngImagePlugin import PngStream
    from yaml.scanner import Scanner

    from storygan.files import parse_json

    for function in (parse_json, Scanner.scan_plain, PngStream.chunk_IHDR):
        assert is_instrumented(function), f"{function} is not instrumented"


def time_out(*_: object) -> None:
    """Raise TooSlow, on the alarm."""
    raise TooSlow(f"it takes more than {MAX_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
