"""Time the web demo in a browser: python benchmarks/page.py [--model M] [--clicks 30] [--samples 1 8].

Serves the page, opens it in Debian's Chromium, and clicks Generate. `first` is the time from the click until the first
picture is decoded and painted; `last` is the time until all are. `model` is generation alone, without server and
browser. The browser measures the time from the click's handler. Run it on an idle machine.

Needs the extra `demo`, playwright, and chromium (apt-get install chromium).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does

import torch
from playwright.sync_api import Page, sync_playwright
from timing import alternate, clock

from storygan.demo.history import generate_samples
from storygan.demo.server import load_models, running
from storygan.demo.story_input import sentences_of

TIMEOUT = 120_000  # milliseconds
# Records the time from the next click on Generate until its pictures are painted: window.timing = {first, last}.
WATCH = """(samples) => {
    const pictures = document.getElementById('pictures'), timing = {};
    const old = new Set([...pictures.querySelectorAll('.sample')]);
    let start = 0;
    const painted = async (sample) => {
        await Promise.all([...sample.querySelectorAll('img')].map(img => img.decode()));
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        return performance.now() - start;
    };
    const observer = new MutationObserver(async () => {
        const found = [...pictures.querySelectorAll('.sample')].filter(sample => !old.has(sample));
        if (pictures.querySelector('.waiting')) return;
        if (found.length && !timing.started) { timing.started = true; timing.first = await painted(found[0]); }
        if (found.length === samples && !pictures.querySelector('progress')) {
            observer.disconnect();
            timing.last = await painted(found[samples - 1]);
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
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with running([arguments.model], "127.0.0.1", 0) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(TIMEOUT)
        page.goto(address)
        page.wait_for_selector("#check .ready")
        story = sentences_of(page.input_value("#story textarea"))
        rows = [measure(page, arguments.model, story, n, arguments.clicks) for n in arguments.samples]
        browser.close()
    load = os.getloadavg()[0]
    print(f"{arguments.model}, {arguments.clicks} clicks, {torch.get_num_threads()} threads, load before {load:.1f}\n")
    print("| samples | model, ms | first, ms: median, 95% | last, ms: median, 95% |\n|---:|---:|---:|---:|")
    print("\n".join(rows))


def measure(page: Page, name: str, story: list[str], samples: int, clicks: int) -> str:
    """Return a row of the table."""
    page.fill("#samples input[type=number]", str(samples))
    page.keyboard.press("Tab")
    first, last = [], []
    for seed in range(clicks + 1):
        page.fill("#seed input", str(1000 * samples + seed))  # new samples each time
        page.keyboard.press("Tab")
        page.evaluate(WATCH, samples)
        page.click("#generate")
        page.wait_for_function("() => window.timing")
        timing = page.evaluate("() => window.timing")
        if seed:  # the first click warms up
            first.append(timing["first"])
            last.append(timing["last"])
        page.wait_for_timeout(500)  # until files are written
    (model,) = load_models([name]).values()
    generate = clock(lambda: list(generate_samples(name, model, story, samples, seed)))
    model_ms = alternate({"model": generate}, clicks)["model"]
    return f"| {samples} | {statistics.median(model_ms):.0f} | {spread(first)} | {spread(last)} |"


def spread(times: list[float]) -> str:
    """Return median and 95% quantile."""
    return f"{statistics.median(times):.0f}, {statistics.quantiles(times, n=20)[-1]:.0f}"


if __name__ == "__main__":
    main()
