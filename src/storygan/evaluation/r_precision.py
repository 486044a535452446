"""R-precision: how often a matcher finds a frame's own sentence among 100; and the training of the matcher."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.bootstrap import PerStory, per_story
from storygan.evaluation.labelled_frames import degrade, to_images
from storygan.evaluation.train_classifier import Losses, fit
from storygan.models.attribute_classifier import to_input
from storygan.models.matcher import SHIPPED, Matcher, match, match_loss, words_of
from storygan.progress import tqdm
from storygan.text.clevr import parse_sentence

CANDIDATES = 100
"""Sentences of which one is the frame's own."""
BATCH = 32
"""Frames a batch."""
Stories = Sequence[Sequence[str]]


def find_matcher(stories: Stories, folder: str | Path | None = None) -> Matcher | None:
    """Load the matcher in `folder`, or the shipped one if all sentences are those of CLEVR-SV; None: there is none.

    Raises:
        UsageError: the matcher in `folder` is for CLEVR-SV, and these sentences are not.
        StoryganError: the folder holds no matcher, or a damaged one.
    """
    matcher = Matcher.load(folder or SHIPPED)
    if matcher.words or not (error := _foreign(stories)):
        return matcher
    if folder:
        raise UsageError(f"the matcher {folder} is for CLEVR-SV, but {error}") from error
    return None


def measure_r_precision(
    pool: FramePool, stories: Stories, matcher: Matcher | None, seed: int
) -> tuple[dict[str, PerStory], str]:
    """Compute `r_precision`, and a note; no value without a matcher, or for too few sentences."""
    if matcher is None:
        return {}, "no r_precision: train a matcher (storygan train-matcher), and name it (--matcher)"
    if (candidates := candidate_sentences(stories, seed)) is None:
        return {}, f"no r_precision: it needs {CANDIDATES} different sentences of other stories"
    about = matcher.about
    note = (
        f"r_precision: the frame's own sentence scores highest of {CANDIDATES}, by a matcher trained on "
        f"{about.get('stories')} stories of {about.get('data')}, split {about.get('split')}"
    )
    return r_precision(pool, candidates, matcher), note


def candidate_sentences(stories: Stories, seed: int) -> tuple[list[str], np.ndarray] | None:
    """Draw the candidates of each frame: its own sentence, then CANDIDATES - 1 that its story does not have.

    Returns:
        The M different sentences, and indices of them (N, T, CANDIDATES); None if there are too few.
    """
    sentences = list(dict.fromkeys(chain.from_iterable(stories)))
    index = {sentence: m for m, sentence in enumerate(sentences)}
    T, rng = len(stories[0]), np.random.default_rng(seed)
    if len(sentences) < CANDIDATES + T:
        return None
    found = np.empty((len(stories), T, CANDIDATES), np.int64)
    for n, story in enumerate(stories):
        own = [index[sentence] for sentence in story]
        for t, m in enumerate(own):
            others = rng.choice(len(sentences), CANDIDATES + T, replace=False)
            found[n, t] = [m, *others[~np.isin(others, own)][: CANDIDATES - 1]]
    return sentences, found


@torch.no_grad()
def r_precision(pool: FramePool, candidates: tuple[list[str], np.ndarray], matcher: Matcher) -> dict[str, PerStory]:
    """Compute the share of frames whose own sentence scores higher than all other candidates (Xu et al., CVPR 2018).

    Args:
        pool: the frames of all methods.
        candidates: of `candidate_sentences`.
        matcher: the networks.
    """
    sentences, index = candidates
    vectors = matcher.embed_sentences(matcher.encode(sentences))
    hits = {method: np.zeros(index.shape[:2], bool) for method in pool.index}
    for start in tqdm(range(0, len(pool.frames), BATCH), desc="match", unit="batch"):
        pixels = matcher.embed_frames(to_input(pool.frames[start : start + BATCH]))
        for method, frames in pool.index.items():
            n, t = np.nonzero((frames >= start) & (frames < start + BATCH))
            for k in range(0, len(n), BATCH):  # a frame may be shown in many places
                part = (n[k : k + BATCH], t[k : k + BATCH])
                scores = match(pixels[frames[part] - start], vectors[torch.from_numpy(index[part])])
                hits[method][part] = (scores[:, :1] > scores[:, 1:]).all(1).numpy()
    return {method: per_story(values) for method, values in hits.items()}


def train_matcher(
    data: str | Path,
    split: str = "train",
    epochs: int = 4,
    batch_size: int = 32,
    lr: float = 2e-3,
    seed: int = 0,
    device: str = "cpu",
) -> Matcher:
    """Train a matcher on real frames and their sentences. An epoch shows one random frame of each story.

    Raises:
        UsageError: the data set has fewer stories than a batch, `epochs` is out of range, or there is no such device.
    """

    def build(dataset: StoryDataset, about: dict[str, Any]) -> tuple[Matcher, Losses]:
        words = words_of([*chain.from_iterable(dataset.sentences)]) if _foreign(dataset.sentences) else ()
        matcher = Matcher(words, about)

        def losses(story_idx: np.ndarray, rng: np.random.Generator, on: torch.device) -> dict[str, torch.Tensor]:
            frame_idx = rng.integers(dataset.T, size=len(story_idx))
            X = to_images(np.array(dataset.frames[story_idx, frame_idx])[:, None])
            v = matcher.encode([dataset.sentences[n][t] for n, t in zip(story_idx, frame_idx, strict=True)])
            x = degrade(X[:, 0], rng).contiguous(memory_format=torch.channels_last)
            return {"loss": match_loss(matcher.embed_frames(x.to(on)), matcher.embed_sentences(v.to(on)))}

        return matcher, losses

    return fit(build, data, split, epochs, batch_size, lr, seed, device)


def _foreign(stories: Stories) -> UsageError | None:
    """Return the error of the first sentence that is not in the CLEVR-SV grammar; None: all are."""
    try:
        for sentence in chain.from_iterable(stories):
            parse_sentence(sentence)
    except UsageError as error:
        return error
    return None
