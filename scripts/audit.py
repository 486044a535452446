"""Check the pinned versions for known vulnerabilities with pip-audit: python scripts/audit.py

Without a service that answers, as behind a package mirror, it prints so and passes. Exits with 1 where a pin has a
known vulnerability.
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
ENVIRONMENTS = ("constraints.txt", "constraints-render.txt")
"""Each the pins of one environment: pip-audit takes one version of a package at a time."""
SERVICES = ("pypi", "osv")  # `pip-audit --vulnerability-service`
MAX = 300  # seconds for each call of a program


def main() -> int:
    """Query the services in order, until one knows any of the pins."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = f"{scratch}/bin/python"
        output_of(python, "pip", "install", "-qq", "--disable-pip-version-check", "pip-audit")
        for service in SERVICES:
            pins = query(python, service)
            known = [pin for pin in pins if "vulns" in pin]
            if known:
                return report(known, len(pins), service)
    print("audit: no service of known vulnerabilities answers here: NOTHING WAS CHECKED")
    return 0


def query(python: str, service: str) -> list[dict[str, Any]]:
    """Return the pins of pip-audit's report; those unknown to the service have no `vulns`. [] without an answer."""
    command = ["pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json"]
    pins = []
    for pinned in ENVIRONMENTS:
        with contextlib.suppress(ValueError):
            pins += json.loads(output_of(python, *command, "-s", service, "-r", str(ROOT / pinned)))["dependencies"]
    return pins


def output_of(python: str, *module: str) -> str:
    """Return the stdout of a module, "" after a timeout. Print the last line of its error where it fails."""
    try:
        done = subprocess.run([python, "-m", *module], capture_output=True, text=True, timeout=MAX, check=False)
        if done.returncode and done.stderr.strip():
            print(f"audit: {done.stderr.strip().splitlines()[-1][:200]}")
        return done.stdout
    except subprocess.TimeoutExpired:
        return ""


def report(known: list[dict[str, Any]], pins: int, service: str) -> int:
    """Print the vulnerabilities; return the exit code."""
    bad = [(pin, vulnerability) for pin in known for vulnerability in pin["vulns"]]
    for pin, vulnerability in bad:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"audit: {pin['name']} {pin['version']} has {vulnerability['id']}, fixed in {fixed}")
    print(f"audit: {service} knows {len(known)} of {pins} pins, {len(bad)} vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
