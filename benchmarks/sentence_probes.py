"""Measure what a linear probe reads from sentence vectors of Toon-SV: python benchmarks/sentence_probes.py [--json].

The projections are fitted to the training stories, the probes (logistic regressions, L2 with C = 1) to the first or to
all of them. `plain` and `wording` are parts of the test split. Characters: micro F1 of those that the sentence names.
The others: accuracy, among the sentences that name a place, a thing or a sky, and among all for the event.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from storygan.data.toon.language import write_story
from storygan.data.toon.render import PARTS
from storygan.data.toon.world import CAST, Scene, sample_story
from storygan.text.encoder import DIM
from storygan.text.minilm_encoder import MiniLMEncoder, embed

TESTED = ("test-plain", "test-wording")
FEW = 100
"""Training stories of the probes that learn from few."""
SHRINKAGE = 1e-3
"""Of the covariance: the share of a multiple of the identity with the same trace."""
Stories = tuple[list[str], list[Scene], np.ndarray]
"""Sentences and scenes of N stories of T, flat, and their labels (N, T, K)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=int, default=2000, help="training stories")
    parser.add_argument("--test", type=int, default=400, help="test stories of each part")
    parser.add_argument("--cache", type=Path, help="folder that keeps the embeddings")
    parser.add_argument("--json", action="store_true", help="one JSON object in the last line")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    parts = {"train": read("train", arguments.stories)} | {name: read(name, arguments.test) for name in TESTED}
    encoder = MiniLMEncoder.fit(parts["train"][0])
    embeddings = {
        name: embed(part[0], encoder.digest).astype(np.float64) - encoder.mean for name, part in parts.items()
    }
    results: dict[str, dict[str, float]] = {}
    for name, matrix in projections(embeddings["train"], encoder, parts["train"]).items():
        vectors = {part: rows @ matrix for part, rows in embeddings.items()}
        for stories in sorted({min(FEW, arguments.stories), arguments.stories}):
            row = results[f"{name}, {stories} stories"] = probe(vectors, parts, stories)
            values = "  ".join(f"{read} {value:.3f}" for read, value in row.items())
            print(f"{name:<30}{stories:>5} stories  {values}", flush=True)
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


def projections(embeddings: np.ndarray, encoder: MiniLMEncoder, stories: Stories) -> dict[str, np.ndarray]:
    """Return the projections (384, 128) to compare, by name."""
    labels = stories[2].reshape(len(embeddings), -1) > 0
    described = [named(stories[0])]
    for values in targets(stories).values():
        described += [np.array([[value == each] for value in values]) for each in sorted({v for v in values if v})]
    return {
        "PCA (the encoder)": encoder.projection.astype(np.float64),
        "PCA, whitened": whitened(embeddings)[:, :DIM],
        "LDA of the frames' labels": lda(embeddings, labels),
        "LDA of what is probed": lda(embeddings, np.concatenate(described, axis=1)),
    }


def whitened(embeddings: np.ndarray) -> np.ndarray:
    """Return the components (384, 384) by falling variance, each scaled to variance 1."""
    covariance = np.cov(embeddings, rowvar=False, bias=True)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    variances, components = np.linalg.eigh(covariance)  # ascending
    return components[:, ::-1] / np.sqrt(variances[::-1])


def lda(embeddings: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the discriminant directions of binary classes (N, M), of variance 1, and then a PCA of what they leave.

    The directions maximise the scatter between a class and its complement, summed over the classes, against the total
    scatter. The components of the PCA have variance 1 on average.
    """
    whitening, share = whitened(embeddings), classes.mean(0)
    classes, share = classes[:, (share > 0) & (share < 1)], share[(share > 0) & (share < 1)]
    between = whitening.T @ embeddings.T @ ((classes - share) / np.sqrt(share * (1 - share))) / len(embeddings)
    directions, strength, _ = np.linalg.svd(between, full_matrices=False)
    supervised = whitening @ directions[:, strength > 0.05]
    rest = np.eye(len(supervised)) - supervised @ np.linalg.lstsq(embeddings @ supervised, embeddings, rcond=None)[0]
    variances, components = np.linalg.eigh(np.cov(embeddings @ rest, rowvar=False, bias=True))
    n = DIM - supervised.shape[1]
    fill = rest @ components[:, : -n - 1 : -1] / np.sqrt(variances[-n:].mean())
    return np.concatenate([supervised, fill], axis=1)


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


def probe(vectors: dict[str, np.ndarray], parts: dict[str, Stories], count: int) -> dict[str, float]:
    """Fit each probe to the first `count` stories, and return its score in each tested part, by name."""
    sentences, scenes, labels = parts["train"]
    few = count * labels.shape[1]
    parts = {**parts, "train": (sentences[:few], scenes[:few], labels[:count])}
    vectors, scores = {**vectors, "train": vectors["train"][:few]}, {}
    found = {part: named(stories[0]) for part, stories in parts.items()}
    probes = [logistic(vectors["train"], column) for column in found["train"].T]
    for part in TESTED:
        predicted = np.stack([each.predict(vectors[part]) for each in probes], 1)
        scores[f"character {part[5:]}"] = float(f1_score(found[part], predicted, average="micro"))
    described = {part: targets(stories) for part, stories in parts.items()}
    for name, values in described["train"].items():
        rows = [n for n, value in enumerate(values) if value]
        fitted = logistic(vectors["train"][rows], np.array([values[n] for n in rows]))
        for part in TESTED:
            rows = [n for n, value in enumerate(described[part][name]) if value]
            truth = np.array([described[part][name][n] for n in rows])
            scores[f"{name} {part[5:]}"] = float((fitted.predict(vectors[part][rows]) == truth).mean())
    return scores


def logistic(x: np.ndarray, y: np.ndarray) -> LogisticRegression:
    """Fit a logistic regression."""
    return LogisticRegression(C=1.0, max_iter=200).fit(x, y)


if __name__ == "__main__":
    main()
