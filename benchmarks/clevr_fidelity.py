"""Measure how close rendered CLEVR-SV frames are to the original ones.

    python benchmarks/clevr_fidelity.py ROOT [--json] [--stories N] [--fit N] [--sheet FILE.png] [--workers N]

ROOT has the original layout (CLEVR_dict.npy, images/). Every scene is rendered without camera and light jitter, which
the original frames have, and with one yaw for all objects.
SSIM: torchmetrics, 11x11 Gaussian window of sigma 1.5, data range [0, 1], mean over the three channels. PSNR: over all
values of a frame. Both are per 64x64 frame, then averaged. `--fit N` fits the 12 jitters and the yaw of the cubes of
the first N stories by least squares on the pixels of the four frames. With `--json` the last line is a JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from PIL import Image
from scipy.optimize import least_squares
from torchmetrics.functional.image import structural_similarity_index_measure
from tqdm import tqdm

from storygan.clevr.geometry import Camera
from storygan.data.clevr.blender import Blender
from storygan.data.clevr.scene import CAMERA_JITTER, LIGHT_JITTER, Scene
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.data.schema import read_stories, splits
from storygan.errors import StoryganError
from storygan.text.clevr import parse_sentence

ROTATION = 0.4  # radians: yaw of all objects, unless it is fitted
FIT_SAMPLES = 3  # while searching; the fitted story is scored at the default quality
REACH = np.array([CAMERA_JITTER] * 3 + [LIGHT_JITTER] * 9)  # of camera, key, fill, back


@dataclass(frozen=True)
class Original:
    """One original story: id, its scene without jitter, frames (T, 64, 64, 3) uint8."""

    story_id: str
    scene: Scene
    frames: np.ndarray


def main() -> None:
    arguments = _arguments()
    originals = read_originals(arguments.root)[: arguments.stories]
    rendered = render(((o.scene, k) for k, o in enumerate(originals)), len(originals), arguments.workers)
    scores = [score(ours, o.frames) for ours, o in zip(rendered, originals, strict=True)]
    ssim, psnr = (float(np.mean([s[k] for s in scores])) for k in (0, 1))
    frames = ", ".join(f"{np.mean([s[0][t] for s in scores]):.4f}" for t in range(len(scores[0][0])))
    print(f"{len(originals)} stories, no camera and light jitter: SSIM {ssim:.4f}, PSNR {psnr:.2f} dB")
    print(f"  SSIM of frames 1 to 4: {frames}")
    print_regions(originals, rendered)
    result: dict[str, object] = {"stories": len(originals), "ssim": round(ssim, 5), "psnr": round(psnr, 3)}
    if arguments.fit:
        result |= fit_stories(originals[: arguments.fit], scores, arguments.workers)
    if arguments.sheet:
        save_sheet(arguments.sheet, originals, rendered)
    if arguments.json:
        print(json.dumps(result))


def read_originals(root: Path) -> list[Original]:
    """Read the complete stories of a folder in the original layout with the importer."""
    originals = []
    with tempfile.TemporaryDirectory() as folder:
        imported = Path(folder) / "imported"
        import_clevr_sv(root, imported)
        for split in splits(imported):
            for story in read_stories(imported, split):
                objects = tuple(parse_sentence(sentence) for sentence in story.sentences)
                frames = np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for f in story.frames])
                originals.append(Original(story.story_id, Scene(objects, (ROTATION,) * len(objects)), frames))
    return originals


def render(scenes: Iterable[tuple[Scene, int]], total: int, workers: int) -> list[np.ndarray]:
    """Render frames (T, 64, 64, 3) uint8 of each (scene, noise seed)."""
    idle: SimpleQueue[Blender] = SimpleQueue()
    blenders = [Blender() for _ in range(workers)]
    for blender in blenders:
        idle.put(blender)

    def one(task: tuple[Scene, int]) -> np.ndarray:
        blender = idle.get()
        try:
            return blender.render(*task)
        finally:
            idle.put(blender)

    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(tqdm(pool.map(one, scenes), total=total, unit=" stories", desc="rendering", disable=None))
    finally:
        for blender in blenders:
            blender.close()


def score(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return SSIM and PSNR (dB) of each frame, (T,) each, of frames (T, 64, 64, 3) uint8."""
    a, b = (torch.from_numpy(f.copy()).permute(0, 3, 1, 2).float() / 255 for f in (ours, theirs))
    ssim = structural_similarity_index_measure(a, b, sigma=1.5, kernel_size=11, data_range=1.0, reduction="none")
    assert isinstance(ssim, torch.Tensor)
    return ssim.numpy(), (-10 * torch.log10(((a - b) ** 2).mean((1, 2, 3)))).numpy()


def print_regions(originals: list[Original], rendered: list[np.ndarray]) -> None:
    """Print mean and RMS of rendered minus original values, in levels of 255, by region, material and shape."""
    differences: dict[str, list[np.ndarray]] = {}
    for original, frames in zip(originals, rendered, strict=True):
        objects = original.scene.objects
        for t in range(len(objects)):
            shown = replace(original.scene, objects=objects[: t + 1], rotations=original.scene.rotations[: t + 1])
            mask = shown.mask()[1::4, 2::5][:60]  # approximate: 60 x 64 of the 240 x 320 pixels
            rows = np.linspace(0, 59, 64).round().astype(int)
            difference = frames[t].astype(float) - original.frames[t]
            for name, where in _regions(mask[rows], objects):
                differences.setdefault(name, []).append(difference[where].reshape(-1, 3))
    print("rendered minus original, in levels of 255: mean R, G, B and RMS")
    for name, parts in differences.items():
        values = np.concatenate(parts)
        mean = ", ".join(f"{v:+.1f}" for v in values.mean(0))
        print(f"  {name:10}{mean:>22} {np.sqrt((values**2).mean()):8.1f}")


def _regions(mask: np.ndarray, objects: tuple) -> list[tuple[str, np.ndarray]]:
    """Return named boolean masks (64, 64) from an object mask (64, 64)."""
    centres = (np.arange(64) + 0.5) / 64
    floor = Camera().floor(np.stack(np.meshgrid(centres, centres), -1))
    far = np.hypot(floor[..., 0], floor[..., 1]) > 8
    named = [("backdrop", far & (mask < 0)), ("ground", ~far & (mask < 0))]
    for index, thing in enumerate(objects):
        named += [(thing.material, mask == index), (thing.shape, mask == index)]
    return named


def fit_stories(originals: list[Original], before: list, workers: int) -> dict[str, float]:
    """Fit each story's jitter and rotations; print and return the means before and after."""
    with ThreadPoolExecutor(workers) as pool:
        fits = pool.map(fit, originals)
        after = list(tqdm(fits, total=len(originals), unit=" stories", desc="fitting", disable=None))
    for original, old, new in zip(originals, before, after, strict=False):
        print(
            f"  {original.story_id}: SSIM {old[0].mean():.4f} -> {new[0].mean():.4f}, "
            f"PSNR {old[1].mean():.2f} -> {new[1].mean():.2f} dB"
        )
    ssim, psnr = (float(np.mean([s[k] for s in after])) for k in (0, 1))
    print(f"{len(originals)} stories, jitter and cube rotations fitted: SSIM {ssim:.4f}, PSNR {psnr:.2f} dB")
    return {"fitted": len(originals), "fitted_ssim": round(ssim, 5), "fitted_psnr": round(psnr, 3)}


def fit(original: Original) -> tuple[np.ndarray, np.ndarray]:
    """Fit the 12 jitters and the yaw of the cubes to the pixels; return SSIM and PSNR of each frame, (T,) each."""
    cubes = [k for k, thing in enumerate(original.scene.objects) if thing.shape == "cube"]
    theirs = original.frames.astype(float)
    steps = np.concatenate([0.1 * REACH + 0.05, [0.1] * len(cubes)])
    limits = np.concatenate([REACH, [np.inf] * len(cubes)])

    with Blender(samples=FIT_SAMPLES) as blender:

        def rendered(x: np.ndarray) -> np.ndarray:
            return blender.render(with_jitter(original.scene, x, cubes))

        def residual(x: np.ndarray) -> np.ndarray:
            return (rendered(x) - theirs).ravel() / 255

        def jacobian(x: np.ndarray) -> np.ndarray:
            here = residual(x)
            signed = np.where(x + steps > limits, -steps, steps)
            return np.stack([(residual(x + d) - here) / d.sum() for d in np.diag(signed)], 1)

        x = np.concatenate([np.zeros(12), [ROTATION] * len(cubes)])
        for index in [None, *range(12, len(x))]:  # jitter first, then each cube's angle from a coarse search, then all
            if index is not None:
                angles = np.arange(0, np.pi / 2, np.pi / 16)
                tries = [np.where(np.arange(len(x)) == index, angle, x) for angle in angles]
                x = min(tries, key=lambda candidate: float((residual(candidate) ** 2).sum()))
            if index is None or index == len(x) - 1:
                x = least_squares(residual, x, jacobian, (-limits, limits), max_nfev=6).x
    with Blender() as blender:
        return score(blender.render(with_jitter(original.scene, x, cubes)), original.frames)


def with_jitter(scene: Scene, x: np.ndarray, cubes: list[int]) -> Scene:
    """Return the scene with jitters x[:12] (camera, key, fill, back) and the cubes' rotations x[12:] in radians."""
    rotations = list(scene.rotations)
    for cube, angle in zip(cubes, x[12:].tolist(), strict=True):
        rotations[cube] = angle
    camera, key, fill, back = (tuple(v) for v in x[:12].reshape(4, 3).tolist())
    return Scene(scene.objects, tuple(rotations), camera, key, fill, back)


def save_sheet(path: Path, originals: list[Original], rendered: list[np.ndarray], rows: int = 12) -> None:
    """Save rendered frames left and original ones right, one story per row, at three times the size."""
    pairs = zip(rendered[:rows], originals[:rows], strict=True)
    sheet = np.concatenate([np.concatenate([*ours, *o.frames], 1) for ours, o in pairs])
    picture = Image.fromarray(sheet)
    picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.NEAREST).save(path)
    print(f"wrote {path}: rendered left, original right")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fidelity of rendered CLEVR-SV to the original frames.")
    parser.add_argument("root", type=Path, help="folder with CLEVR_dict.npy and images/")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--stories", type=int, help="only the first N stories")
    parser.add_argument("--fit", type=int, default=0, metavar="N", help="fit the jitter of the first N stories")
    parser.add_argument("--sheet", type=Path, help="save rendered beside original frames")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if min(arguments.workers, 1 if arguments.stories is None else arguments.stories) < 1 or arguments.fit < 0:
        parser.error("--stories and --workers must be at least 1, --fit at least 0")
    return arguments


if __name__ == "__main__":
    try:
        main()
    except StoryganError as error:
        sys.exit(f"clevr_fidelity.py: {error}")
