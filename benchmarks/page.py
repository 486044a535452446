"""From click to picture, in a browser: python benchmarks/page.py [--model M] [--clicks 30] [--drawings 1 8].

Serves the page, opens it in Debian's Chromium, and presses Generate. `first` is the time from the click until the first
picture is on the screen: decoded, and the browser has painted. `last` is until all are. `model` is what drawing alone
takes in this process, without server and browser. The clock is the browser's, and starts in the click's own handler.
Server and browser share the machine, as they do for a visitor at home. Run it on an idle machine.

Needs the extra `demo`, playwright, and chromium (apt-get install chromium).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import torch
from playwright.sync_api import Page, sync_playwright

from storygan.demo.history import generate_samples
from storygan.demo.server import load_models, running
from storygan.demo.story_input import sentences_of

PATIENCE = 120_000  # milliseconds
# Notes the moment of the next click on Generate, and when its pictures are painted: window.timing = {first, last}.
WATCH = """(drawings) => {
    const pictures = document.getElementById('pictures'), timing = {};
    const old = new Set([...pictures.querySelectorAll('.sample')]);
    let start = 0;
    const painted = async (drawing) => {
        await Promise.all([...drawing.querySelectorAll('img')].map(img => img.decode()));
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        return performance.now() - start;
    };
    const observer = new MutationObserver(async () => {
        const found = [...pictures.querySelectorAll('.sample')].filter(drawing => !old.has(drawing));
        if (pictures.querySelector('.waiting')) return;
        if (found.length && !timing.seen) { timing.seen = true; timing.first = await painted(found[0]); }
        if (found.length === drawings && !pictures.querySelector('progress')) {
            observer.disconnect();
            timing.last = await painted(found[drawings - 1]);
            window.timing = timing;
        }
    });
    window.timing = null;
    document.getElementById('generate').addEventListener('click', () => {
        start = performance.now();
        observer.observe(pictures, {childList: true, subtree: true});
    }, {once: true, capture: true});
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--drawings", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with running([arguments.model], "127.0.0.1", 0) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector("#check .ready")
        story = sentences_of(page.input_value("#story textarea"))
        rows = [measure(page, arguments.model, story, n, arguments.clicks) for n in arguments.drawings]
        browser.close()
    load = os.getloadavg()[0]
    print(f"{arguments.model}, {arguments.clicks} clicks, {torch.get_num_threads()} threads, load before {load:.1f}\n")
    print("| drawings | model, ms | first, ms: median, 95% | last, ms: median, 95% |\n|---:|---:|---:|---:|")
    print("\n".join(rows))


def measure(page: Page, name: str, story: list[str], drawings: int, clicks: int) -> str:
    """A row of the table."""
    page.fill("#samples input[type=number]", str(drawings))
    page.keyboard.press("Tab")
    first, last = [], []
    for seed in range(clicks + 1):
        page.fill("#seed input", str(1000 * drawings + seed))  # other pictures each time
        page.keyboard.press("Tab")
        page.evaluate(WATCH, drawings)
        page.click("#generate")
        page.wait_for_function("() => window.timing")
        timing = page.evaluate("() => window.timing")
        if seed:  # the first click warms up
            first.append(timing["first"])
            last.append(timing["last"])
        page.wait_for_timeout(500)  # files are written
    (model,) = load_models([name]).values()
    alone = []
    for seed in range(clicks + 1):
        start = time.perf_counter()
        list(generate_samples(name, model, story, drawings, seed))
        alone.append(1000 * (time.perf_counter() - start))
    return f"| {drawings} | {statistics.median(alone[1:]):.0f} | {spread(first)} | {spread(last)} |"


def spread(times: list[float]) -> str:
    """Median and 95% quantile."""
    return f"{statistics.median(times):.0f}, {statistics.quantiles(times, n=20)[-1]:.0f}"


if __name__ == "__main__":
    main()
