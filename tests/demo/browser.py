"""Debian's Chromium for the tests of the page, without background requests."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"  # kept by CI
AXE = "axe-core@4.10.3"
AXE_SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser object."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def is_local(url: str) -> bool:
    """Return whether a request to the address stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname in ("127.0.0.1", "localhost")


def call_summary(calls: list[tuple[str, str]]) -> str:
    """Format a browser's calls, (method, address): the number for each host and each call."""
    plain = [
        (method, f"{urlsplit(url).scheme}:..." if url.startswith(("data:", "blob:")) else url) for method, url in calls
    ]
    hosts = Counter(urlsplit(url).hostname or "(in the page itself)" for _, url in plain)
    lines = [f"{count} to {host}" for host, count in hosts.most_common()]
    return "\n".join([*lines, "", *(f"{n:5} {method} {url}" for (method, url), n in sorted(Counter(plain).items()))])


def illegible(page: Any) -> list[str]:
    """Return the visible text with too little contrast or cut off at the edge of its box.

    Contrast as in WCAG 2.2: 4.5 to 1, for large letters (24 px, or bold from 18.66 px) 3 to 1.
    """
    found: list[str] = page.evaluate(LEGIBILITY)
    return found


LEGIBILITY = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = rgba(getComputedStyle(element).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [255, 255, 255];
    };
    const bad = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement, words = node.textContent.trim();
        if (!words || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        if (element.closest('svg, style, script, .sr-only')) continue;  // Gradio's words for screen readers: 1 pixel
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (!box.width || !box.height) continue;
        const style = getComputedStyle(element);
        const [one, two] = [light(rgba(style.color)), light(behind(element))].sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
        const contrast = (one + 0.05) / (two + 0.05);
        if (contrast < (large ? 3 : 4.5)) bad.push(`${words.slice(0, 60)}: ${contrast.toFixed(1)} to 1`);
        for (let holder = element; holder && holder !== document.body; holder = holder.parentElement) {
            if (getComputedStyle(holder).overflowX === 'visible') continue;
            const edge = holder.getBoundingClientRect();
            if (box.right > edge.right + 1 || box.left < edge.left - 1) bad.push(`${words.slice(0, 60)}: cut off`);
            break;
        }
    }
    return [...new Set(bad)];
}"""


@cache
def axe_script() -> str:
    """Return axe-core, which checks accessibility, fetched by npm; "" if it cannot be fetched."""
    with TemporaryDirectory() as folder:
        try:
            subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return ""
        (package,) = Path(folder).glob("*.tgz")
        content = package.read_bytes()
    assert hashlib.sha256(content).hexdigest() == AXE_SHA256
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def inaccessible(page: Any) -> list[str]:
    """Return the serious and critical findings of axe-core, which must be there."""
    page.add_script_tag(content=axe_script())
    found: list[str] = page.evaluate(
        """async () => (await axe.run(document)).violations.filter(v => ['serious', 'critical'].includes(v.impact))
            .flatMap(v => v.nodes.map(node => `${v.id}: ${node.html.slice(0, 200)}`))"""
    )
    return found
