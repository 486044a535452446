"""Recall of characters by how the sentence refers to them: python benchmarks/references.py --data DATA --models M ...

Of the characters in frames 2 to T of Toon-SV: `named`, the sentence has the name or species; `pronoun`, a fitting
pronoun and not the name, so that earlier sentences say who it is; `unmentioned`, neither. A value is the share
that the classifier finds, with the number of characters; `precision` is that of all characters that it finds.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import numpy as np

from storygan import StoryGAN
from storygan.data.dataset import open_split
from storygan.data.toon.world import CAST, Character
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.predictions import predict
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import SHIPPED

PRONOUNS = {"she": {"she", "her", "they", "them"}, "he": {"he", "him", "they", "them"}}
KINDS = ("named", "pronoun", "unmentioned")


def reference(sentence: str, who: Character) -> str:
    """Return how a sentence refers to a character: one of KINDS."""
    words = set(re.findall(r"[a-z]+", sentence.lower()))
    if words & {who.species, who.name.lower()}:
        return "named"
    return "pronoun" if words & PRONOUNS[who.pronoun] else "unmentioned"


def references(stories: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the index in KINDS for each story, sentence and character: (N, T, len(CAST))."""
    return np.array([[[KINDS.index(reference(s, who)) for who in CAST] for s in story] for story in stories])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of Toon-SV stories")
    parser.add_argument("--models", nargs="+", default=["toon-sv"])
    parser.add_argument("--classifier", default=SHIPPED / "classifier-toon-sv")
    parser.add_argument("--split", default="test")
    parser.add_argument("--stories", type=int, default=500)
    arguments = parser.parse_args()
    dataset = open_split(arguments.data, arguments.split)
    dataset = dataset.subset(list(range(min(arguments.stories, len(dataset)))))
    assert dataset.label_names, "not Toon-SV"
    columns = [dataset.label_names.index(f"character: {who.species}") for who in CAST]
    true = np.asarray(dataset.labels)[:, 1:, columns] > 0
    kinds = references(dataset.sentences)[:, 1:]
    classifier = AttributeClassifier.load(arguments.classifier)
    print(f"{len(dataset)} stories of split {arguments.split}, seed 0\n")
    print(f"| | {' | '.join(KINDS)} | precision |\n|---|{'---:|' * (len(KINDS) + 1)}")
    frames = {name: fuse_batch_norm(StoryGAN.from_pretrained(name)) for name in arguments.models}
    for name, X in [("real frames", dataset.frames), *frames.items()]:
        X = X.generate_dataset(dataset.sentences, seed=0) if isinstance(X, StoryGAN) else np.asarray(X)
        N, T = X.shape[:2]
        pool = FramePool(X.reshape(N * T, *X.shape[2:]), {"model": np.arange(N * T).reshape(N, T)})
        found = predict(classifier, pool, None).labels.reshape(N, T, -1)[:, 1:, columns] > 0
        shares = [f"{found[true & (kinds == k)].mean():.3f} ({(true & (kinds == k)).sum()})" for k in range(len(KINDS))]
        print(f"| {name} | {' | '.join(shares)} | {true[found].mean():.3f} |")


if __name__ == "__main__":
    main()
