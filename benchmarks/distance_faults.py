"""Measure what KID and FID on each network see: planted faults, and the original CLEVR-SV frames.

    python benchmarks/distance_faults.py DATA [--stories N] [--splits N] [--official ROOT] [--json FILE]

Faults are planted in real frames of one half of the stories, and compared with the real frames of the other half; the
stories of each split are others. `order`: of all pairs of faults that a person minds differently (`planted_faults.py`,
FAULTS), the share that the distance orders in the same way. With `--official`, frames of DATA are changed in small
ways, and compared with the 48 original stories in ROOT (CLEVR_dict.npy, images/). `--json` adds to an existing file.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from planted_faults import FAULTS, Fault, Stories, blur, grain, jpeg, read_faultless, to_uint8
from scipy.ndimage import maximum_filter, minimum_filter

from storygan.data.dataset import open_split
from storygan.errors import StoryganError
from storygan.evaluation.distances import (
    BATCH,
    FeatureExtractor,
    after_mean3,
    alexnet,
    efficientnet_lite0,
    extract_features,
    kid,
)
from storygan.evaluation.st_lpips import find_weights
from storygan.models.attribute_classifier import AttributeClassifier

CPU = torch.device("cpu")


def efficientnet(size: int) -> FeatureExtractor:
    """EfficientNet-Lite0 in ONNX Runtime, which is 2.4 times faster on one core; features differ by 1e-5."""
    import onnxruntime

    graph, example = io.BytesIO(), torch.rand(BATCH, 3, 64, 64) * 255
    network = Wrapped(efficientnet_lite0(CPU, size))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter that needs no trace of Python is several times slower
        axes = {"x": {0: "B"}}
        torch.onnx.export(network, (example,), graph, dynamo=False, input_names=["x"], dynamic_axes=axes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


class Wrapped(torch.nn.Module):
    """A function as a module, for the exporter."""

    def __init__(self, function: FeatureExtractor) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def alexnet_of_st_lpips() -> FeatureExtractor:
    weights = find_weights()
    if weights is None:
        raise StoryganError("no weights of AlexNet: pip install 'storygan[lpips]'")
    return alexnet(weights, CPU)


def classifier() -> FeatureExtractor:
    network = AttributeClassifier.load()
    return lambda x: network(x / 127.5 - 1)[2]


CANDIDATES: dict[str, Callable[[], FeatureExtractor]] = {
    "EfficientNet-Lite0, 128": lambda: efficientnet(128),
    "EfficientNet-Lite0, 224": lambda: efficientnet(224),
    "EfficientNet-Lite0, 128, 3x3 mean": lambda: after_mean3(efficientnet(128)),
    "EfficientNet-Lite0, 224, 3x3 mean": lambda: after_mean3(efficientnet(224)),
    "AlexNet (ST-LPIPS), 64": alexnet_of_st_lpips,
    "AlexNet (ST-LPIPS), 64, 3x3 mean": lambda: after_mean3(alexnet_of_st_lpips()),
    "evaluation classifier, 64": classifier,
}


def sharpen(stories: Stories, _: np.random.Generator) -> np.ndarray:
    """Add half of what a blur of sigma 0.5 takes away."""
    frames = stories.frames.astype(np.float32)
    return to_uint8(frames + 0.5 * (frames - blur(0.5)(stories, _)))


def smooth_floor(sigma: float) -> Fault:
    """Blur where the 3x3 pixels around differ by at most 4 levels: the floor and the background."""

    def change(stories: Stories, rng: np.random.Generator) -> np.ndarray:
        size = (1, 1, 3, 3, 1)
        spread = (maximum_filter(stories.frames, size).astype(int) - minimum_filter(stories.frames, size)).max(-1)
        return np.where(spread[..., None] <= 4, blur(sigma)(stories, rng), stories.frames)

    return change


def smooth_and_sharp(stories: Stories, rng: np.random.Generator) -> np.ndarray:
    """Blur the floor, and sharpen what is on it."""
    return smooth_floor(1)(Stories(sharpen(stories, rng), [], np.zeros(0)), rng)


def gamma(exponent: float) -> Fault:
    return lambda stories, _: to_uint8(255 * (stories.frames / 255) ** exponent)


CHANGES: dict[str, Fault] = {
    "none": lambda stories, _: stories.frames,
    "grain of half a level": grain(0.5),
    "grain of one level": grain(1),
    "grain of two levels": grain(2),
    "blur, sigma 0.3": blur(0.3),
    "blur, sigma 0.5": blur(0.5),
    "sharpened": sharpen,
    "floor smoothed, sigma 0.5": smooth_floor(0.5),
    "floor smoothed, sigma 1": smooth_floor(1),
    "sharpened, floor smoothed": smooth_and_sharp,
    "gamma 0.97": gamma(0.97),
    "gamma 1.03": gamma(1.03),
    "JPEG, quality 95": jpeg(95),
}
"""What might make our renders more like the original frames."""


def distance(X: np.ndarray, Y: np.ndarray) -> dict[str, float]:
    return {"kid": kid(X, Y, 0).mean, "fid": frechet(*(Z.reshape(-1, Z.shape[-1]).astype(np.float64) for Z in (X, Y)))}


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the FID of features (M, F) and (N, F), fast for few frames: the trace of the root is a nuclear norm."""
    a, b = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))  # covariances a.T @ a and b.T @ b
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root)


def measure(
    network: FeatureExtractor, name: str, changed: dict[str, np.ndarray], reference: np.ndarray
) -> dict[str, dict[str, float]]:
    """Compute the distances of frames (N, T, 64, 64, 3) from `reference`, by what was changed."""

    def features(frames: np.ndarray) -> np.ndarray:
        f = extract_features(network, frames.reshape(-1, *frames.shape[2:]), name, CPU)
        return f.reshape(*frames.shape[:2], -1)

    Y = features(reference)
    return {change: distance(features(frames), Y) for change, frames in changed.items()}


def order(values: dict[str, float]) -> float:
    """Return the share of pairs of faults of different ranks that the distances order by rank."""
    pairs = [(a, b) for a, (low, _) in FAULTS.items() for b, (high, _) in FAULTS.items() if low < high]
    return float(np.mean([values[a] < values[b] for a, b in pairs]))


def official_frames(root: Path) -> np.ndarray:
    """Read the original stories: (48, T, 64, 64, 3) uint8."""
    from clevr_fidelity import read_originals

    return np.stack([original.frames for original in read_originals(root)])


def main() -> None:
    arguments = _arguments()
    dataset, N = open_split(arguments.data, arguments.split), arguments.stories
    report: dict = {"split": arguments.split, "faults": {}, "official": {}}
    if arguments.json and arguments.json.exists():
        report |= json.loads(arguments.json.read_text())
    rng = np.random.default_rng(0)
    splits = []
    for start in range(0, 2 * N * arguments.splits, 2 * N):
        stories = read_faultless(dataset, range(start, start + N))
        changed = {"none": stories.frames} | {name: fault(stories, rng) for name, (_, fault) in FAULTS.items()}
        splits.append((changed, dataset.batch(range(start + N, start + 2 * N))))
    tests: dict[str, list] = {"faults": splits}
    if arguments.official:
        stories = Stories(dataset.batch(range(N)), [], np.zeros(0))
        changed = {name: change(stories, rng) for name, change in CHANGES.items()}
        tests = {"official": [(changed, official_frames(arguments.official))]}
    for name in arguments.candidates or CANDIDATES:
        network = CANDIDATES[name]()
        for test, parts in tests.items():
            found = [measure(network, name, *part) for part in parts]
            report[test][name] = {"stories": N, "splits": found}
            print_table(test, name, found)
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def print_table(test: str, name: str, parts: list[dict[str, dict[str, float]]]) -> None:
    print(f"{name}: KID and FID, mean of {len(parts)} splits (lowest to highest)")
    for change in parts[0]:
        cells = []
        for metric in ("kid", "fid"):
            values = [part[change][metric] for part in parts]
            cells.append(f"{np.mean(values):9.4f} ({min(values):.4f} to {max(values):.4f})")
        print(f"  {change:24}{'  '.join(cells)}")
    if test == "faults":
        for metric in ("kid", "fid"):
            found = [order({change: values[metric] for change, values in part.items()}) for part in parts]
            print(f"  order by {metric}: {np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What KID and FID on each network see.")
    parser.add_argument("data", type=Path, help="folder that `storygan data render-clevr` wrote")
    parser.add_argument("--split", default="train", help="of the data set")
    parser.add_argument("--stories", type=int, default=60, help="on each side of a distance")
    parser.add_argument("--splits", type=int, default=3, help="of other stories")
    parser.add_argument("--official", type=Path, metavar="ROOT", help="compare with the original frames instead")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, help="default: all")
    parser.add_argument("--json", type=Path, help="file to write, or to add to")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except StoryganError as error:
        sys.exit(f"distance_faults.py: {error}")
