"""Measure what a linear probe reads from sentence vectors of Toon-SV: python benchmarks/sentence_probes.py [--json].

The projections and the probes (logistic regressions, L2 with C = 1) are fitted to the same training stories. A column
is a part of the test split. Characters: micro F1 of those that the sentence names. The others: accuracy, among the
sentences that name a place, a thing or a sky, and among all for the event.
"""

from __future__ import annotations

import argparse
import json
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from storygan.data.toon.language import write_story
from storygan.data.toon.render import PARTS
from storygan.data.toon.world import CAST, Scene, sample_story
from storygan.text import projection
from storygan.text.minilm_encoder import embed, minilm_folder, weights_digest

TESTED = ("test-plain", "test-wording")
Stories = tuple[list[str], list[Scene], np.ndarray]
"""Sentences and scenes of N stories of T, flat, and their labels (N, T, K)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=int, default=2000, help="training stories")
    parser.add_argument("--test", type=int, default=400, help="test stories of each part")
    parser.add_argument("--json", action="store_true", help="one JSON object in the last line")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    parts = {"train": read("train", arguments.stories)} | {name: read(name, arguments.test) for name in TESTED}
    digest = weights_digest(minilm_folder())
    embeddings = {name: embed(part[0], digest).astype(np.float64) for name, part in parts.items()}
    mean = embeddings["train"].mean(0)
    results = {}
    for name, matrix in projections(embeddings["train"] - mean, parts["train"][2]).items():
        vectors = {part: (rows - mean) @ matrix for part, rows in embeddings.items()}
        results[name] = probe(vectors, parts)
        row = "  ".join(f"{read} {value:.3f}" for read, value in results[name].items())
        print(f"{name:<28}{row}", flush=True)
    if arguments.json:
        print(json.dumps(results))


def read(part: str, count: int) -> Stories:
    """Write the stories of a part, without their frames."""
    sentences: list[str] = []
    scenes: list[Scene] = []
    for number in range(count):
        rng = np.random.default_rng([0, PARTS.index(part), number])
        story = sample_story(rng, unseen_pair=part == "test-pair")
        sentences += write_story(story, rng, unseen=part == "test-wording")
        scenes += story
    labels = np.array([scene.labels() for scene in scenes]).reshape(count, len(scenes) // count, -1)
    return sentences, scenes, labels


def projections(embeddings: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the projections (384, 128) to compare, by name."""
    return {
        "PCA": projection.pca(embeddings),
        "PCA, whitened": projection.pca(embeddings, whiten=True),
        "LDA of labels": projection.lda(embeddings, labels.reshape(len(embeddings), -1) > 0),
        "LDA of labels and changes": projection.lda(embeddings, projection.changes(labels)),
    }


def targets(part: Stories) -> dict[str, list[str | None]]:
    """Return what each sentence says of the place, thing, event and sky; None where it says nothing."""
    sentences, scenes, _ = part
    events = [scene.event for scene in scenes]
    opens = [event.kind.startswith("open") for event in events]
    return {
        "place": [scene.place if first else None for scene, first in zip(scenes, opens, strict=True)],
        "thing": [e.thing if e.thing and e.thing in text else None for e, text in zip(events, sentences, strict=True)],
        "event": [event.kind for event in events],
        "sky": [event.sky for event in events],
    }


def named(sentences: list[str]) -> np.ndarray:
    """Return which characters each sentence names, (N, 9) bool."""
    words = [set(text.lower().replace(",", " ").replace(".", " ").split()) for text in sentences]
    return np.array([[bool({who.species, who.name.lower()} & found) for who in CAST] for found in words])


def probe(vectors: dict[str, np.ndarray], parts: dict[str, Stories]) -> dict[str, float]:
    """Fit each probe, and return its score in each tested part, by name."""
    scores = {}
    found = {part: named(stories[0]) for part, stories in parts.items()}
    probes = [logistic(vectors["train"], column) for column in found["train"].T]
    for part in TESTED:
        predicted = np.stack([each.predict(vectors[part]) for each in probes], 1)
        scores[f"character {part[5:]}"] = float(f1_score(found[part], predicted, average="micro"))
    told = {part: targets(stories) for part, stories in parts.items()}
    for name, values in told["train"].items():
        rows = [n for n, value in enumerate(values) if value]
        fitted = logistic(vectors["train"][rows], np.array([values[n] for n in rows]))
        for part in TESTED:
            rows = [n for n, value in enumerate(told[part][name]) if value]
            truth = np.array([told[part][name][n] for n in rows])
            scores[f"{name} {part[5:]}"] = float((fitted.predict(vectors[part][rows]) == truth).mean())
    return scores


def logistic(x: np.ndarray, y: np.ndarray) -> LogisticRegression:
    """Fit a logistic regression."""
    return LogisticRegression(C=1.0, max_iter=200).fit(x, y)


if __name__ == "__main__":
    main()
