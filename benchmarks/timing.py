"""Time calls in alternation, describe the machine, and make tables: shared by the benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
Value = TypeVar("Value")
Row = dict[str, Any]
"""Column -> a number, quartiles, text, or a list of quartiles."""


def clock(call: Callable[[], object]) -> Callable[[], float]:
    """Return a function that makes a call, waits for the GPU if there is one, and returns the milliseconds."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - start)

    return timed


def alternate(timers: dict[str, Callable[[], Value]], repeats: int) -> dict[str, list[Value]]:
    """Call every timer `repeats` times, in turns; every other turn is in reverse order. A first turn warms up."""
    found: dict[str, list[Value]] = {name: [] for name in timers}
    for turn in range(repeats + 1):
        for name in reversed(timers) if turn % 2 else timers:
            found[name].append(timers[name]())
    return {name: values[1:] for name, values in found.items()}


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    return dict(zip(("median", "low", "high"), np.quantile(values, (0.5, 0.25, 0.75)).tolist(), strict=True))


def compare(found: dict[str, list[float]]) -> Row:
    """Return a row of `alternate`'s times, with the speedups against the first: quartiles of the ratios in a turn."""
    before, *others = found
    row: Row = {name: quartiles(values) for name, values in found.items()}
    for name in others:
        ratios = np.divide(found[before], found[name]).tolist()
        row["speedup" if len(others) == 1 else f"{name}: speedup"] = quartiles(ratios)
    return row


def gflop(call: Callable[[], object]) -> float:
    """Return the GFLOP of the convolutions and matrix products of a call; multiply and add count apart."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def peak_gflops(dtype: torch.dtype, n: int = 2048) -> float:
    """Return the GFLOP/s of an n x n matrix product, the best of 10."""
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    return 2 * n**3 / 1e6 / min(alternate({"product": clock(lambda: a @ b)}, 10)["product"])


def memory(pid: int | str = "self") -> dict[str, float]:
    """Return the MB by name of /proc/PID/status, e.g. `VmHWM`, the peak; nothing of a process that has ended."""
    lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) * 1.024e-3 for line in lines if line[-1] == "kB"}


def run_process(command: Sequence[str | Path]) -> tuple[float, float]:
    """Run a command; return its milliseconds from start to end, and its peak memory in MB."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:  # the peak of `os.wait4` counts this process before the command, too
        peak = max(peak, memory(process.pid).get("VmHWM", 0.0))
        time.sleep(0.002)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return 1e3 * (time.perf_counter() - start), peak


def commit_name(commit: str = "--dirty") -> str:
    """Return the short name of a commit, by default of this tree."""
    command = ["git", "describe", "--always", commit]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def machine() -> dict[str, Any]:
    """Describe the processor, the GPU and PyTorch, and how busy the machine is."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    fields = dict(map(str.strip, line.split(":", 1)) for line in cpuinfo.splitlines() if ":" in line)
    return {
        "processor": fields.get("model name", sys.platform),
        "flags": [flag for flag in FLAGS if flag in fields.get("flags", "").split()],
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
        "commit": commit_name(),
    }


def cell(value: Any) -> str:
    """Format a cell of a table: three digits or more. In a list, which has medians alone, `chosen` ones are bold."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        medians = [(cell(one["median"]), one.get("chosen")) for one in value]
        return " / ".join(f"**{median}**" if chosen else median for median, chosen in medians)
    if isinstance(value, dict):
        return f"{cell(value['median'])} ({cell(value['low'])} to {cell(value['high'])})"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(report: dict[str, Any]) -> str:
    """Return the Markdown table of a report, and a paragraph that states the unit and the machine."""
    rows, here = report["rows"], report["machine"]
    columns = [name for name in dict.fromkeys(chain(*rows.values())) if name not in report["hidden"]]
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(cell(row.get(column)) for column in columns)] for name, row in rows.items()]
    device = here["GPU"] or f"{here['processor']} ({', '.join(here['flags'])}), threads: {here['threads']}"
    caption = f"{report['unit']}. Measured on {device}, PyTorch {here['torch']}, commit {here['commit']}."
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{caption}\n"


def write(rows: dict[str, Row], here: dict[str, Any], unit: str, file: Path | None, hidden: Sequence[str] = ()) -> None:
    """Print the table of some rows, and write them to a JSON file: `hidden` columns are in the file alone."""
    report = {"machine": here, "unit": unit, "hidden": hidden, "rows": rows}
    print(table(report), end="")
    if file:
        file.write_text(json.dumps(report, indent=1) + "\n")
