"""Time the web demo in a browser: python benchmarks/page.py [--model M] [--clicks 30] [--samples 1 8].

Serves the page, opens it in Debian's Chromium, and clicks Generate. `pictures` is the time from the click until all
pictures are decoded and painted. `model` is generation alone, without server and browser. The browser measures the time
from the click's handler. Also prints the time from opening the page until the story on arrival is painted. Run it on an
idle machine.

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
from timing import alternate, clock

from storygan.demo.history import generate_samples
from storygan.demo.server import load_models, running
from storygan.demo.story_input import sentences_of

TIMEOUT = 120_000  # milliseconds
# Records the time from the next click on Generate until its pictures are painted: window.timing.
WATCH = """() => {
    const pictures = () => [...document.querySelectorAll('#pictures .strip img')];
    const old = pictures()[0].src;
    let start = 0;
    const observer = new MutationObserver(async () => {
        if (!pictures().length || pictures()[0].src === old) return;
        observer.disconnect();
        await Promise.all(pictures().map(img => img.decode()));
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        window.timing = performance.now() - start;
    });
    window.timing = null;
    document.getElementById('generate').addEventListener('click', () => {
        start = performance.now();
        observer.observe(document.body, {childList: true, subtree: true, attributes: true});
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
        for visit in ("first visit", "second visit"):
            start = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("#pictures .strip img")
            print(f"{visit}: {time.perf_counter() - start:.1f} s until the pictures")
        story = sentences_of(page.input_value("#story textarea"))
        rows = [measure(page, arguments.model, story, n, arguments.clicks) for n in arguments.samples]
        browser.close()
    load = os.getloadavg()[0]
    print(f"{arguments.model}, {arguments.clicks} clicks, {torch.get_num_threads()} threads, load before {load:.1f}\n")
    print("| samples | model, ms | pictures, ms: median, 95% |\n|---:|---:|---:|")
    print("\n".join(rows))


def measure(page: Page, name: str, story: list[str], samples: int, clicks: int) -> str:
    """Return a row of the table."""
    page.fill("#samples input", str(samples))
    page.keyboard.press("Tab")
    times = []
    for seed in range(clicks + 1):
        page.fill("#seed input", str(1000 * samples + seed))  # new samples each time
        page.keyboard.press("Tab")
        page.evaluate(WATCH)
        page.click("#generate")
        page.wait_for_function("() => window.timing")
        timing = page.evaluate("() => window.timing")
        if seed:  # the first click warms up
            times.append(timing)
        page.wait_for_timeout(300)
    (model,) = load_models([name]).values()
    generate = clock(lambda: generate_samples(name, model, story, samples, seed))
    model_ms = alternate({"model": generate}, clicks)["model"]
    return f"| {samples} | {statistics.median(model_ms):.0f} | {spread(times)} |"


def spread(times: list[float]) -> str:
    """Return median and 95% quantile."""
    return f"{statistics.median(times):.0f}, {statistics.quantiles(times, n=20)[-1]:.0f}"


if __name__ == "__main__":
    main()
