"""Measure quality and speed of the CLEVR-SV renderer by setting.

    python benchmarks/clevr_render_speed.py [--stories N] [--reference SAMPLES] [--workers 1 2 ...] [--json]

Renders the same stories with each setting on one worker, and with the default on several. PSNR is that of a 64x64
frame against a reference without denoiser (2,048 samples per pixel, kept in build/), as a mean over frames and as the
minimum. CPU seconds are processor time per frame. Frames per second are wall time without the start of Blender.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from storygan.data.clevr.blender import Blender
from storygan.data.clevr.render import noise_seed
from storygan.data.clevr.scene import sample_scene
from storygan.errors import StoryganError

SEED = 1_000_000  # of scenes that are in no data set
NONE = {"denoise": ""}
ONCE = {"supersample": 1, "filter_width": 2.2}  # the filter closest to rendering at 2x and downsampling
SETTINGS: dict[str, dict[str, Any]] = {
    "default: 2x, 2 samples, fast denoiser": {},
    "2x, 1 sample": {"samples": 1},
    "2x, 3 samples": {"samples": 3},
    "2x, 6 samples": {"samples": 6},
    "2x, 2 samples, high denoiser": {"denoise": "HIGH"},
    "2x, 2 samples, no denoiser": NONE,
    "2x, 8 samples, no denoiser": {"samples": 8, **NONE},
    "1x, 8 samples": {"samples": 8, **ONCE},
    "1x, 12 samples": {"samples": 12, **ONCE},
    "1x, 32 samples, no denoiser": {"samples": 32, **ONCE, **NONE},
    "1x, 32, no denoiser, adaptive 0.05": {"samples": 32, "adaptive_threshold": 0.05, **ONCE, **NONE},
    "default, 1 bounce": {"bounces": 1},
    "default, 4 bounces": {"bounces": 4},
    "default, not persistent": {"persistent": False},
}


def main() -> None:
    arguments = _arguments()
    scenes = [sample_scene(SEED, number) for number in range(arguments.stories)]
    reference = read_reference(scenes, arguments.reference)
    print(f"{len(reference)} frames of 64x64; reference: {arguments.reference} samples, no denoiser")
    print(f"{'setting':40}{'PSNR, dB':>10}{'worst':>8}{'CPU s/frame':>13}{'frames/s':>10}")
    results = []
    for name, settings in SETTINGS.items():
        frames, cpu, wall = measure(scenes, settings)
        psnr = _psnr(frames, reference)
        results.append({"setting": name, "psnr": psnr.mean(), "worst": psnr.min(), "cpu": cpu, "rate": 1 / wall})
        print(f"{name:40}{psnr.mean():10.2f}{psnr.min():8.2f}{cpu:13.3f}{1 / wall:10.1f}", flush=True)
    for workers in arguments.workers:
        rate = frames_per_second(scenes, workers)
        results.append({"setting": f"default, {workers} workers", "rate": rate})
        print(f"{f'default, {workers} workers':40}{'':31}{rate:10.1f}", flush=True)
    if arguments.json:
        print(json.dumps(results, default=float))


def read_reference(scenes: list, samples: int) -> np.ndarray:
    """Return frames (N, 64, 64, 3) at `samples` samples without denoiser, rendered once."""
    path = Path("build") / f"clevr-reference-{len(scenes)}-{samples}.npy"
    if not path.exists():
        with Blender(samples=samples // 4, denoise="") as blender:  # 4 rendered pixels per pixel
            frames = [blender.render(s, k) for k, s in enumerate(tqdm(scenes, unit=" stories", desc="reference"))]
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.concatenate(frames))
    return np.load(path)


def measure(scenes: list, settings: dict[str, Any]) -> tuple[np.ndarray, float, float]:
    """Return frames, CPU seconds per frame and wall seconds per frame of one warm worker."""
    with Blender(**settings) as blender:
        blender.render(scenes[0])
        cpu, wall = _cpu_seconds(blender.pid), time.monotonic()
        frames = np.concatenate([blender.render(s, noise_seed(SEED, k)) for k, s in enumerate(scenes)])
        cpu, wall = _cpu_seconds(blender.pid) - cpu, time.monotonic() - wall
    return frames, cpu / len(frames), wall / len(frames)


def frames_per_second(scenes: list, workers: int) -> float:
    """Return frames per second of several warm workers that each render every scene."""
    blenders = [Blender() for _ in range(workers)]
    for blender in blenders:
        blender.render(scenes[0])
    threads = [threading.Thread(target=lambda b=b: [b.render(s) for s in scenes]) for b in blenders]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    for blender in blenders:
        blender.close()
    return workers * sum(len(s.objects) for s in scenes) / seconds


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _psnr(ours: np.ndarray, reference: np.ndarray) -> np.ndarray:
    error = ((ours.astype(float) - reference) ** 2).mean((1, 2, 3))
    return 10 * np.log10(255**2 / error)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Quality and speed of the CLEVR-SV renderer.")
    parser.add_argument("--stories", type=int, default=5)
    parser.add_argument("--reference", type=int, default=2048, metavar="SAMPLES")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--json", action="store_true", help="end with one JSON list")
    arguments = parser.parse_args()
    if min(arguments.stories, *arguments.workers) < 1 or arguments.reference < 4:
        parser.error("--stories and --workers must be at least 1, --reference at least 4")
    return arguments


if __name__ == "__main__":
    try:
        main()
    except StoryganError as error:
        sys.exit(f"clevr_render_speed.py: {error}")
