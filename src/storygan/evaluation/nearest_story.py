"""The training story nearest in text, a baseline that copies instead of generating."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from storygan.errors import UsageError
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.vocabulary import content_words, most_frequent, stem

BATCH = 512
"""Training stories that are encoded at once."""
MAX_WORDS = 4096
"""Words of a sentence vector: the most frequent ones."""
Stories = Sequence[Sequence[str]]
Encode = Callable[[Stories], np.ndarray]


def nearest_story_indices(stories: Stories, training: Stories) -> np.ndarray:
    """Find the training story that is nearest in text to each of N stories.

    Sentence t is compared with sentence t, by the Euclidean distance of their vectors: those of the CLEVR-SV sentence
    encoder, or unit TF-IDF vectors of word stems (Manning et al., Introduction to Information Retrieval, 2008, section
    6.2).

    Args:
        stories: N stories of T sentences.
        training: M stories of T sentences.

    Returns:
        (N,) int64, indices of training stories; of equally near ones the first.
    """
    try:
        encode: Encode = _encode_clevr
        X = encode(stories)
        encode(training[:1])
    except UsageError:
        encode = _tf_idf(training)
        X = encode(stories)
    best, found = np.full(len(stories), -np.inf), np.zeros(len(stories), np.int64)
    for start in range(0, len(training), BATCH):
        Y = encode(training[start : start + BATCH])
        scores = np.round(X @ Y.T - (Y**2).sum(1) / 2, 3)  # half the distance, negated; rounded, so that ties are ties
        nearest = scores.argmax(1)
        values = scores[np.arange(len(X)), nearest]
        found[values > best] = start + nearest[values > best]
        best = np.maximum(best, values)
    return found


def _encode_clevr(stories: Stories) -> np.ndarray:
    """Return the vectors of the sentences of CLEVR-SV, (n, T * 128). Raise UsageError for other sentences."""
    return ClevrEncoder().encode(list(chain.from_iterable(stories))).reshape(len(stories), -1)


def _tf_idf(training: Stories) -> Encode:
    """Return a function that computes unit TF-IDF vectors, (n, T * V), with the document frequencies of `training`."""
    documents = [{stem(word) for word in content_words(sentence)} for sentence in chain.from_iterable(training)]
    counts = Counter(chain.from_iterable(documents))
    words = most_frequent(chain.from_iterable(documents))[:MAX_WORDS]
    index = {word: k for k, word in enumerate(words)}
    idf = 1 + np.log((1 + len(documents)) / (1 + np.array([counts[word] for word in words], np.float32)))

    def encode(stories: Stories) -> np.ndarray:
        vectors = np.zeros((len(stories), len(stories[0]), len(words)), np.float32)
        for n, story in enumerate(stories):
            for t, sentence in enumerate(story):
                for word in map(stem, content_words(sentence)):
                    if word in index:
                        vectors[n, t, index[word]] += idf[index[word]]
        norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
        return (vectors / np.maximum(norms, 1e-12)).reshape(len(stories), -1)

    return encode
