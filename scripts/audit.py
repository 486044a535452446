"""Looks the pinned versions up among the known vulnerabilities (pip-audit): python scripts/audit.py

Where no service that pip-audit asks answers, as behind a mirror that holds packages alone, it says so and passes. Ends
with 1 where a pin has a known vulnerability.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = (("constraints-hashed.txt", "constraints-cuda-hashed.txt"), ("constraints-render-hashed.txt",))
"""Files of one environment: pip-audit takes no two versions of a package at once."""
SERVICES = ("pypi", "osv")  # `pip-audit --vulnerability-service`
MAX = 300  # seconds for each call of a program


def main() -> int:
    """Ask the services in turn, until one knows any of the pins."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = f"{scratch}/bin/python"
        said(python, "pip", "install", "-qq", "--disable-pip-version-check", "pip-audit")
        for service in SERVICES:
            pins = looked_up(python, service)
            known = [pin for pin in pins if "vulns" in pin]
            if known:
                return report(known, len(pins), service)
    print("audit: no service of known vulnerabilities answers here: NOTHING WAS CHECKED")
    return 0


def looked_up(python: str, service: str) -> list[dict[str, Any]]:
    """The pins as pip-audit reports them, those that the service does not know without `vulns`; [] if it is silent."""
    command = ["pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json"]
    pins = []
    for locks in ENVIRONMENTS:
        files = [part for lock in locks for part in ("-r", str(ROOT / lock))]
        with contextlib.suppress(ValueError):
            pins += json.loads(said(python, *command, "-s", service, *files))["dependencies"]
    return pins


def said(python: str, *module: str) -> str:
    """What a module says on stdout; nothing where it takes too long. Of why it fails, the last line is shown."""
    try:
        done = subprocess.run([python, "-m", *module], capture_output=True, text=True, timeout=MAX, check=False)
        if done.returncode and done.stderr.strip():
            print(f"audit: {done.stderr.strip().splitlines()[-1][:200]}")
        return done.stdout
    except subprocess.TimeoutExpired:
        return ""


def report(known: list[dict[str, Any]], pins: int, service: str) -> int:
    """Print what was found."""
    bad = [(pin, vulnerability) for pin in known for vulnerability in pin["vulns"]]
    for pin, vulnerability in bad:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"audit: {pin['name']} {pin['version']} has {vulnerability['id']}, mended in {fixed}")
    print(f"audit: {service} knows {len(known)} of {pins} pins, {len(bad)} vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
