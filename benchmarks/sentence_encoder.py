"""Measure the `sentence` encoder on a file of captions: time, size, PCA variance, nearest neighbours.

    python benchmarks/sentence_encoder.py descriptions.csv [--json] [--queries N] [--seed S]

The captions are the last column of a CSV without a header, as in Pororo-SV's descriptions.csv. The cache is empty at
the start. For N random captions it prints the nearest other caption by cosine of the 128 values. Over 2,000 captions it
measures how often that is the nearest, or among the ten nearest, by MiniLM's 384 values.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from storygan.text.minilm_encoder import MiniLMEncoder, embed

COMPARED = 2000  # random captions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object in the last line")
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with arguments.captions.open(encoding="utf-8", newline="") as file:
        captions = [" ".join(row[-1].split()) for row in csv.reader(file)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        result = measure(captions, arguments.queries, np.random.default_rng(arguments.seed))
    if arguments.json:
        print(json.dumps(result))


def measure(captions: list[str], queries: int, rng: np.random.Generator) -> dict[str, float]:
    start, processor = time.perf_counter(), time.process_time()
    encoder = MiniLMEncoder.fit(captions)
    fitted, processor = time.perf_counter(), time.process_time() - processor
    vectors = encoder.encode(captions)
    cached = time.perf_counter()
    unique = sorted(set(captions))
    full = embed(unique, encoder.digest).astype(np.float32)
    small = unit(encoder.encode(unique))
    kept = np.linalg.norm((full - encoder.mean) @ np.linalg.qr(encoder.projection)[0]) ** 2
    idx = rng.choice(len(unique), min(COMPARED, len(unique)), replace=False)
    in_128, in_384 = (similarities(rows, idx).argsort(1)[:, ::-1] for rows in (small, unit(full - full.mean(0))))
    result = {
        "captions": len(captions),
        "different": len(unique),
        "seconds to fit, cache empty": round(fitted - start, 1),
        "seconds of the processor to fit": round(processor, 1),
        "seconds to encode all, cached": round(cached - fitted, 2),
        "variance kept by the PCA": round(float(kept / np.linalg.norm(full - encoder.mean) ** 2), 4),
        "least variance of a dimension": round(float(vectors.var(0).min()), 4),
        "greatest variance of a dimension": round(float(vectors.var(0).max()), 4),
        "nearest is nearest in 384": round(float((in_128[:, 0] == in_384[:, 0]).mean()), 3),
        "nearest is among ten nearest in 384": round(float((in_128[:, :1] == in_384[:, :10]).any(1).mean()), 3),
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    for query, order in zip(idx[:queries], in_128, strict=False):
        print(f"\n{unique[query]}\n  -> {unique[order[0]]} ({small[query] @ small[order[0]]:.2f})")
    return result


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def similarities(rows: np.ndarray, idx: np.ndarray) -> np.ndarray:
    """Return cosines of the rows `idx` with all N rows, (len(idx), N), and -1 for a row with itself."""
    cosines = rows[idx] @ rows.T
    cosines[np.arange(len(idx)), idx] = -1
    return cosines


if __name__ == "__main__":
    main()
