"""Fixed linear maps from sentence embeddings (N, E) to 128 values: a PCA, or a discriminant analysis of the labels."""

from __future__ import annotations

import numpy as np

DIM = 128
SHRINKAGE = 1e-3
"""Of the covariance: the share of a multiple of the identity with the same trace."""


def pca(embeddings: np.ndarray, whiten: bool = False) -> np.ndarray:
    """Return the projection (E, 128) onto the components of largest variance.

    Distances are those of the components up to a factor, which makes the mean variance of a dimension 1: a rotation
    spreads the variance evenly over the dimensions. With `whiten`, each component has variance 1 instead.

    Args:
        embeddings: (N, E), centred.
        whiten: see above.
    """
    variances, components = np.linalg.eigh(np.cov(embeddings, rowvar=False, bias=True))  # ascending
    variances, components = variances[: -DIM - 1 : -1], components[:, : -DIM - 1 : -1]
    components *= np.sign(components[np.abs(components).argmax(0), range(DIM)])  # a component's sign is free
    if whiten:
        return components / np.sqrt(variances.clip(0) + SHRINKAGE * variances.mean())
    return components @ hadamard(DIM) / variances.clip(0).sum() ** 0.5


def hadamard(n: int) -> np.ndarray:
    """Build the n x n matrix of 1 and -1 with orthogonal rows (Sylvester's construction); n is a power of 2."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def changes(labels: np.ndarray) -> np.ndarray:
    """Return what a sentence may describe: labels (N, T, K) that a frame has, gains and loses, bool (N*T, 3K).

    Before the first frame there is nothing. Most sentences describe a change, and rarely what stays.
    """
    before = np.concatenate([np.zeros_like(labels[:, :1]), labels[:, :-1]], axis=1)
    return np.concatenate([labels > 0, labels > before, labels < before], axis=2).reshape(-1, 3 * labels.shape[2])


def lda(embeddings: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the projection (E, 128) onto the discriminant directions of binary classes, and then components of a PCA.

    The directions maximise the scatter between a class and its complement, summed over the classes, against the total
    scatter (Fisher's analysis for several labels). The other dimensions are uncorrelated with them, and have as much as
    possible of the remaining variance. Every dimension has variance 1.

    Args:
        embeddings: (N, E), centred.
        classes: (N, M) bool.
    """
    E = embeddings.shape[1]
    covariance = np.cov(embeddings, rowvar=False, bias=True)
    covariance += SHRINKAGE * np.trace(covariance) / E * np.eye(E)
    variances, components = np.linalg.eigh(covariance)  # ascending
    whitening = components[:, ::-1] / np.sqrt(variances[::-1])  # (E, E), by falling variance
    share = classes.mean(0)
    classes, share = classes[:, (share > 0) & (share < 1)], share[(share > 0) & (share < 1)]
    between = whitening.T @ embeddings.T @ ((classes - share) / np.sqrt(share * (1 - share))) / len(embeddings)
    directions, strength, _ = np.linalg.svd(between, full_matrices=False)
    directions = directions[:, strength > 0.05][:, :DIM]
    basis, _ = np.linalg.qr(np.concatenate([directions, np.eye(E)[:, :DIM]], axis=1))
    return whitening @ basis[:, :DIM]
