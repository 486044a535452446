"""The matcher of R-precision: two small networks, of frames and of sentences, whose product scores how well they fit.

The network of frames gives a vector for each pixel of a 16x16 map, as a sentence may describe a part of the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.models import weights
from storygan.models.attribute_classifier import conv_bn_relu
from storygan.models.frame_network import FrameNetwork, require_words
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import DIM
from storygan.text.vocabulary import content_words, most_frequent, stem

WIDTH, EMBEDDING = 64, 64
"""Channels of the network of frames, and values of a vector."""
MAX_WORDS = 4096
SHIPPED = weights.SHIPPED / "matcher-clevr-sv"


class Matcher(FrameNetwork):
    """Scores how well sentences fit frames.

    Args:
        words: stems of the words that describe a sentence; empty: CLEVR-SV sentences, by their encoder.
        about: training data, saved with the matcher.
    """

    name = "matcher"

    def __init__(self, words: Sequence[str] = (), about: Mapping[str, Any] | None = None) -> None:
        super().__init__(about)
        self.words = tuple(words)
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 5, 64, 64) -> (B, 20, 32, 32)
            *conv_bn_relu(4 * (3 + 2), WIDTH // 2),
            *conv_bn_relu(WIDTH // 2, WIDTH, stride=2),
            *conv_bn_relu(WIDTH, WIDTH),
            *conv_bn_relu(WIDTH, WIDTH, dilation=2),
        )
        self.pixel, self.frame = nn.Conv2d(WIDTH, EMBEDDING, 1), nn.Linear(WIDTH, EMBEDDING)
        hidden = nn.Linear(len(self.words) or DIM, 2 * WIDTH)
        self.sentence = nn.Sequential(hidden, nn.ReLU(), nn.Linear(2 * WIDTH, EMBEDDING))

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Encode M sentences as input of the network: (M, V) float32.

        Raises:
            UsageError: a sentence is not in the CLEVR-SV grammar, and the matcher knows no other.
        """
        if not self.words:
            return torch.from_numpy(_clevr_encoder().encode(sentences))
        index, vectors = {word: k for k, word in enumerate(self.words)}, torch.zeros(len(sentences), len(self.words))
        for row, sentence in zip(vectors, sentences, strict=True):
            row[[index[word] for word in map(stem, content_words(sentence)) if word in index]] = 1
        return vectors

    def embed_frames(self, x: Tensor) -> Tensor:
        """Compute vectors of pixels: (B, 3, 64, 64) in [-1, 1] -> (B, 256, 64)."""
        h = self.trunk(torch.cat([x, self.coordinates.expand(len(x), -1, -1, -1)], 1))
        return (self.pixel(h) + self.frame(h.mean((2, 3)))[..., None, None]).flatten(2).mT

    def embed_sentences(self, v: Tensor) -> Tensor:
        """Compute vectors of sentences: (M, V) of `encode` -> (M, 64)."""
        return self.sentence(v)

    def settings(self) -> dict[str, Any]:
        return {"words": self.words, "about": self.about}

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        require_words("words", settings["words"], MAX_WORDS)
        if not isinstance(settings["about"], dict):
            raise ValueError("about is not as storygan writes it")
        return cls(settings["words"], settings["about"])


@lru_cache(maxsize=1)
def _clevr_encoder() -> ClevrEncoder:
    """Return the encoder, whose construction takes a tenth of a second."""
    return ClevrEncoder()


def match(pixels: Tensor, sentences: Tensor) -> Tensor:
    """Score sentences for frames: (B, 256, 64) and (M, 64) or (B, M, 64) -> (B, M), a soft maximum over pixels."""
    return (pixels @ sentences.mT / EMBEDDING**0.5).logsumexp(1)


def match_loss(pixels: Tensor, sentences: Tensor) -> Tensor:
    """Compute the symmetric cross-entropy of B frames and their sentences (Radford et al., ICML 2021): a scalar."""
    scores, own = match(pixels, sentences), torch.arange(len(pixels), device=pixels.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def words_of(sentences: Sequence[str]) -> tuple[str, ...]:
    """Return the stems of the content words of training sentences, the most frequent first, up to MAX_WORDS."""
    return most_frequent(stem(word) for sentence in sentences for word in content_words(sentence))[:MAX_WORDS]
