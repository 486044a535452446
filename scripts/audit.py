"""Looks the pinned versions up among the known vulnerabilities (pip-audit): python scripts/audit.py

Where neither of the services that pip-audit asks can be reached, as behind a mirror that holds packages alone, or
where it has not ended in time, it says so and passes. Ends with 1 where a pin has a known vulnerability.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ("constraints-hashed.txt", "constraints-cuda-hashed.txt")
SERVICES = {
    "pypi": "https://pypi.org/pypi/jinja2/2.10/json",
    "osv": "https://api.osv.dev/v1/vulns/GHSA-462w-v97r-4m45",
}
"""What `pip-audit --vulnerability-service` takes, and a vulnerability (of jinja2 2.10) that each is sure to know."""
PATIENCE, MOST = 20, 600  # seconds for an answer; for all of pip-audit, once installed as for its installation


def main() -> int:
    """Ask the first service that answers."""
    refusals = {name: refusal(url) for name, url in SERVICES.items()}
    reached = [name for name, why in refusals.items() if not why]
    if not reached:
        reasons = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        return nothing_checked(f"no service of known vulnerabilities can be reached from here ({reasons})")
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = f"{scratch}/bin/python"
        pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "pip-audit"]
        command = [python, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-s", reached[0]]
        command += [part for lock in LOCKS for part in ("-r", str(ROOT / lock))]
        try:
            subprocess.run(pip, check=True, timeout=MOST)
            return subprocess.run(command, check=False, timeout=MOST).returncode
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return nothing_checked(f"pip-audit cannot be installed, or takes too long ({error})")


def nothing_checked(why: str) -> int:
    """Say so, and pass."""
    print(f"audit: {why}: NOTHING WAS CHECKED")
    return 0


def refusal(url: str) -> str:
    """Why the address does not answer; empty: it does."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return "" if b"CVE-2019-10906" in answer.read() else "it knows no vulnerability"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


if __name__ == "__main__":
    sys.exit(main())
