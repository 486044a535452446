"""Stories of fewer and of more sentences than T: what they cost, for docs/generate.md. Deterministic.

    python benchmarks/story_lengths.py [--model clevr-sv|toon-sv] [--stories N] [--longest N]

Shorter: `h_0` of a shorter story is computed from a padded one. The first n frames are compared with those of the whole
story, whose `h_0` knows all sentences; paddings are zeros (the mean sentence), and the last sentence again.
Longer: each column is a frame, beyond T those that `extend` adds. A score is that of the shipped classifier: for
CLEVR-SV the share of objects that are found with all attributes, for Toon-SV the micro F1 of labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from storygan import StoryGAN
from storygan.data.clevr.scene import sample_scene
from storygan.data.toon.language import write_story
from storygan.data.toon.world import sample_story
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.predictions import predict
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.inference import batches, evaluation_mode, to_uint8
from storygan.models.noise import noise_of_length
from storygan.models.storygan import SHIPPED
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence
from storygan.text.placement import place

SEED = 2027
Stories = list[list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="clevr-sv")
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--longest", type=int, help="sentences of the longest story; default: 2 T")
    arguments = parser.parse_args()
    model = fuse_batch_norm(StoryGAN.from_pretrained(arguments.model))
    T = model.config.T
    longest = arguments.longest or 2 * T
    clevr = model.sentence_encoder is not None and model.sentence_encoder.kind == "clevr"
    classifier = AttributeClassifier.load(SHIPPED / f"classifier-{'clevr' if clevr else 'toon'}-sv")
    stories, labels = (clevr_stories if clevr else toon_stories)(arguments.stories, longest)

    def score(frames: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Score frames (N, n, 64, 64, 3) of the first n sentences: names of K scores, and (K, n)."""
        N, n = frames.shape[:2]
        pool = FramePool(frames.reshape(N * n, *frames.shape[2:]), {"model": np.arange(N * n).reshape(N, n)})
        if not clevr:
            found = predict(classifier, pool, None).labels.reshape(N, n, -1)
            true = labels[:, :n]
            hits = (found & true).sum((0, 2))
            return ["labels"], (2 * hits / (found.sum((0, 2)) + true.sum((0, 2))))[None]
        right = predict(classifier, pool, [story[:n] for story in stories]).objects["model"].accurate.mean(0)
        newest, first, all_ = np.diagonal(right), right[:, :T], np.tril(right).sum(1) / np.arange(1, n + 1)
        first = np.array([first[t, : min(t + 1, T)].mean() for t in range(n)])
        return ["newest object", f"objects of sentences 1 to {T}", "all objects"], np.stack([newest, first, all_])

    def frames_of(n: int, context: Callable[[Tensor], Tensor] | None = None) -> np.ndarray:
        """Generate the frames of the first n sentences, with `h_0` of another story."""
        S = torch.from_numpy(model.encode([story[:n] for story in stories]))
        S_0, noise, parts = (context or model.context_sentences)(S), noise_of_length(len(S), n, model.config, SEED), []
        with evaluation_mode(model):
            for rows in batches(len(S), n):
                h_0 = model.story_encoder(S_0[rows], noise.eps_0[rows])[0]
                o = model.context_encoder(S[rows], noise.eps[rows], h_0, noise.g_0[rows])
                parts.append(to_uint8(model.frames(o)))
        return np.concatenate(parts)

    whole = torch.from_numpy(model.encode([story[:T] for story in stories]))
    paddings: dict[str, Callable[[Tensor], Tensor]] = {
        "the whole story": lambda S: whole,
        "padded with zeros": lambda S: torch.nn.functional.pad(S, (0, 0, 0, T - S.shape[1])),
        "padded with the last sentence": lambda S: torch.cat([S, S[:, -1:].expand(-1, T - S.shape[1], -1)], 1),
    }
    print(
        f"{arguments.model}, {len(stories)} stories of seed {SEED}\n\n| sentences | `h_0` of | score | change, of 255 |"
    )
    print("|---|---|---:|---:|")
    for n in range(1, T):
        known = frames_of(n, paddings["the whole story"])
        for name, context in paddings.items():
            frames = frames_of(n, context)
            change = np.abs(frames.astype(int) - known).mean()
            print(f"| {n} of {T} | {name} | {score(frames)[1][-1].mean():.3f} | {change:.2f} |")
    names, scores = score(frames_of(longest))
    print_row([f"frame {t}" for t in range(1, longest + 1)], "\nscore")
    print("|---|" + "---:|" * longest)
    for name, values in zip(names, scores, strict=True):
        print_row([f"{value:.3f}" for value in values], name)


def print_row(values: Sequence[str], name: str) -> None:
    print(f"{'' if name[0] != chr(10) else name[0]}| {name.strip()} | {' | '.join(values)} |")


def clevr_stories(N: int, n: int) -> tuple[Stories, np.ndarray]:
    """Sample N stories of n objects by CLEVR's rules; beyond 6 they may not fit, and a new story is begun."""
    if n <= 6:
        return [[format_sentence(each) for each in sample_scene(SEED, k, n).objects] for k in range(N)], np.empty(0)
    rng, stories = np.random.default_rng(SEED), []
    while len(stories) < N:
        things: list[ClevrObject] = []
        while len(things) < n:
            shape, colour, material, size = (str(rng.choice(v)) for v in (SHAPES, COLOURS, MATERIALS, SIZES))
            wish = tuple(rng.uniform(-3, 3, 2).tolist())
            thing = place(ClevrObject(shape, colour, material, size, 0, 0), wish, things, search=0.6)
            if thing is None and rng.random() < 0.02:
                break
            things += [thing] if thing else []
        else:
            stories.append([format_sentence(thing) for thing in things])
    return stories, np.empty(0)


def toon_stories(N: int, n: int) -> tuple[Stories, np.ndarray]:
    """Sample N stories of n sentences, and their labels (N, n, K)."""
    rng = np.random.default_rng(SEED)
    scenes = [sample_story(rng, n) for _ in range(N)]
    return [write_story(story, rng) for story in scenes], np.array(
        [[s.labels() for s in story] for story in scenes]
    ) > 0


if __name__ == "__main__":
    main()
