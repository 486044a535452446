"""Definitions of the metrics, story by story: of objects, labels, pixels and noise.

Where a docstring cites no source, the definition is this package's own. KID and FID are in `distances`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.evaluation.bootstrap import PerStory, per_story
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import ATTRIBUTES

# ---- objects of CLEVR-SV, predicted by the evaluation classifier; in [0, 1], larger is better ----


@dataclass(frozen=True)
class ObjectPredictions:
    """Predictions for N stories of T frames. Axis 1 is the frame, axis 2 the object of a sentence."""

    present: np.ndarray
    """(N, T, T) bool: an object is at the location of that sentence."""
    attributes: np.ndarray
    """(N, T, T, 4) int: its predicted size, colour, material and shape, indices into `ATTRIBUTES`."""
    correct: np.ndarray
    """(N, T, T, 4) bool: these are the attributes of the sentence."""
    false_positives: np.ndarray
    """(N, T) int: objects at the locations of `floor_grid` at least `SAFE_DISTANCE` from all objects of the frame."""

    @property
    def accurate(self) -> np.ndarray:
        """(N, T, T) bool: the object is present with all four attributes correct."""
        return self.present & self.correct.all(-1)


def object_accuracy(predictions: ObjectPredictions) -> PerStory:
    """Compute the share of frames t whose new object, that of sentence t, is present with all attributes correct."""
    return per_story(_new_object(predictions.accurate))


def object_recall(predictions: ObjectPredictions) -> PerStory:
    """Compute the share of frames t in which any object is at the location of sentence t."""
    return per_story(_new_object(predictions.present))


def attribute_accuracy(predictions: ObjectPredictions) -> dict[str, PerStory]:
    """Compute object accuracy by attribute: `size_accuracy`, `colour_accuracy`, ..."""
    correct = predictions.present[..., None] & predictions.correct
    return {f"{name}_accuracy": per_story(_new_object(correct[..., k])) for k, name in enumerate(ATTRIBUTES)}


def story_consistency(predictions: ObjectPredictions) -> PerStory:
    """Compute the share of pairs (frame t, earlier sentence j < t) whose object j is present and correct in frame t."""
    t, j = np.tril_indices(predictions.present.shape[1], -1)
    return per_story(predictions.accurate[:, t, j])


def consistency_at_distance(predictions: ObjectPredictions) -> dict[str, PerStory]:
    """Compute story consistency of pairs (frame t, sentence t - k) alone: `story_consistency_k1` to `_k{T-1}`."""
    accurate = predictions.accurate
    return {
        f"story_consistency_k{k}": per_story(np.diagonal(accurate, -k, axis1=1, axis2=2))
        for k in range(1, accurate.shape[1])
    }


def no_false_positives(predictions: ObjectPredictions) -> PerStory:
    """Compute the share of frames without an object where no sentence so far places one."""
    return per_story(predictions.false_positives == 0)


def object_metrics(predictions: ObjectPredictions) -> dict[str, PerStory]:
    """Compute all metrics of objects, by name."""
    return {
        "object_accuracy": object_accuracy(predictions),
        "story_consistency": story_consistency(predictions),
        "no_false_positives": no_false_positives(predictions),
        "object_recall": object_recall(predictions),
        **attribute_accuracy(predictions),
        **consistency_at_distance(predictions),
    }


def _new_object(values: np.ndarray) -> np.ndarray:
    """Select object t in frame t: (N, T, T) -> (N, T)."""
    return np.diagonal(values, axis1=1, axis2=2)


# ---- labels of whole frames, predicted by the evaluation classifier; in [0, 1], larger is better ----


def label_exact_match(predicted: np.ndarray, labels: np.ndarray) -> PerStory:
    """Compute the share of frames whose K labels are all correct; arguments (N, T, K) bool.

    StoryGAN (Li et al., CVPR 2019), section 4.2, calls it character accuracy on Pororo-SV.
    """
    return per_story((predicted == labels).all(-1))


def label_micro_f1(predicted: np.ndarray, labels: np.ndarray) -> PerStory:
    """Compute 2 TP / (2 TP + FP + FN) over all frames and labels; arguments (N, T, K) bool.

    Manning et al., Introduction to Information Retrieval, 2008, section 13.6.
    """
    TP = (predicted & labels).sum((1, 2))
    return PerStory(2.0 * TP, (predicted.sum((1, 2)) + labels.sum((1, 2))).astype(float))


def label_micro_precision(predicted: np.ndarray, labels: np.ndarray) -> PerStory:
    """Compute TP / (TP + FP), the share of predicted labels that are correct; arguments (N, T, K) bool."""
    TP = (predicted & labels).sum((1, 2))
    return PerStory(TP.astype(float), predicted.sum((1, 2)).astype(float))


def label_micro_recall(predicted: np.ndarray, labels: np.ndarray) -> PerStory:
    """Compute TP / (TP + FN), the share of true labels that are predicted; arguments (N, T, K) bool."""
    TP = (predicted & labels).sum((1, 2))
    return PerStory(TP.astype(float), labels.sum((1, 2)).astype(float))


def label_consistency(predicted: np.ndarray, labels: np.ndarray) -> PerStory:
    """Compute the share of stories whose K labels are all correct in every frame; arguments (N, T, K) bool."""
    return per_story((predicted == labels).all((1, 2)))


def label_metrics(predicted: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, PerStory]:
    """Compute all metrics of labels, by name.

    Label names such as `place: farm` form groups; each group has its own metrics, such as `label_exact_match_place`.

    Args:
        predicted, labels: (N, T, K) bool.
        names: of the K labels.
    """
    groups: dict[str, list[int]] = {"": list(range(len(names)))}
    for k, name in enumerate(names):
        group, colon, _ = name.partition(":")
        if colon:
            groups.setdefault("_" + group.strip().replace(" ", "_"), []).append(k)
    return {
        f"{metric.__name__}{group}": metric(predicted[..., ks], labels[..., ks])
        for group, ks in groups.items()
        for metric in (label_exact_match, label_micro_f1, label_micro_precision, label_micro_recall, label_consistency)
    }


# ---- pixels against the real frames; larger is better ----

MAX_PSNR = 60.0
"""dB: PSNR is clipped here, as it is infinite for equal frames."""
WINDOW, SIGMA = 11, 1.5
"""Pixels: size and standard deviation of SSIM's Gaussian window."""


def pixel_metrics(frames: np.ndarray, real: np.ndarray) -> dict[str, PerStory]:
    """Compute SSIM and PSNR of RGB frames (N, T, H, W, 3) uint8. The names state the conventions.

    Returns:
        `ssim_01_gauss11`: SSIM (Wang et al., 2004, equation 13), mean over pixels and channels. Frames are in [0, 1],
            the data range is 1, the window is an 11x11 Gaussian, the border is mirrored.
        `ssim_pm1_range1_gauss11`: the same on frames in [-1, 1] with the data range left at 1, as when a generator's
            output is passed to code for [0, 1]. Comparable only with numbers computed in the same way.
        `psnr_01`: -10 log10 of the mean squared error in dB, at most 60 (Wang and Bovik, 2009); frames in [0, 1].
    """
    x, y = (torch.from_numpy(Z.reshape(-1, *Z.shape[2:])).movedim(-1, 1) / 255 for Z in (frames, real))
    mu_x, mu_y, xx, yy, xy = map(_gaussian_filter, (x, y, x * x, y * y, x * y))
    var_x, var_y, cov = xx - mu_x**2, yy - mu_y**2, xy - mu_x * mu_y
    values = {
        "ssim_01_gauss11": _ssim(mu_x, mu_y, var_x, var_y, cov),
        "ssim_pm1_range1_gauss11": _ssim(2 * mu_x - 1, 2 * mu_y - 1, 4 * var_x, 4 * var_y, 4 * cov),
        "psnr_01": (-10 * (x - y).square().mean((1, 2, 3)).log10()).clamp(max=MAX_PSNR),
    }
    return {name: per_story(value.numpy().reshape(frames.shape[:2])) for name, value in values.items()}


def _ssim(mu_x: Tensor, mu_y: Tensor, var_x: Tensor, var_y: Tensor, cov: Tensor) -> Tensor:
    """Compute SSIM (B,) for a data range of 1 from local moments (B, 3, H, W)."""
    c_1, c_2 = 0.01**2, 0.03**2
    numerator = (2 * mu_x * mu_y + c_1) * (2 * cov + c_2)
    return (numerator / ((mu_x**2 + mu_y**2 + c_1) * (var_x + var_y + c_2))).mean((1, 2, 3))


def _gaussian_filter(x: Tensor) -> Tensor:
    """Filter (B, 3, H, W) with the window and a mirrored border: two matrix products, faster than a convolution."""
    x = F.pad(x, [WINDOW // 2] * 4, mode="reflect")
    rows, columns = (_filter_matrix(size) for size in x.shape[2:])
    return rows @ x @ columns.T


def _filter_matrix(size: int) -> Tensor:
    """Return the window at each position of a line of pixels: (size - 10, size), rows that sum to 1."""
    window = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    matrix = torch.zeros(size - WINDOW + 1, size)
    for k, row in enumerate(matrix):
        row[k : k + WINDOW] = window / window.sum()
    return matrix


# ---- diversity over the noise, and sensitivity to its parts; RMS differences in [0, 1] ----

SAMPLES = 4
"""Samples a story that diversity compares."""


@torch.no_grad()
def diversity_metrics(model: StoryGAN, S: Tensor, seed: int) -> dict[str, PerStory]:
    """Sample N stories, of sentence vectors S (N, T, 128), with several noises and compare the frames.

    Returns:
        `diversity_rms_01`: the mean over all pairs of SAMPLES samples with independent noise.
        `sensitivity_eps_rms_01`: between two samples with the same h_0 and independent eps_t and g_0.
        `sensitivity_eps_0_rms_01`: between two samples that differ only in eps_0, the noise of h_0.
        `sensitivity_h_0_rms_01`: between two samples that differ only in h_0: the second has another story's.
    """
    generator, where = seeded(seed), (model.device, model.dtype)
    config = replace(model.config, T=S.shape[1])
    S, noises = S.to(*where), [Noise.sample(len(S), config, generator).to(*where) for _ in range(SAMPLES)]
    h_0s = [model.story_encoder(model.context_sentences(S), noise.eps_0)[0] for noise in noises]
    X_hats = [_generate(model, S, h_0, noise) for h_0, noise in zip(h_0s, noises, strict=True)]
    h_0, noise, X_hat = h_0s[0], noises[0], X_hats[0]
    return {
        "diversity_rms_01": per_story(np.mean([rms(a, b) for a, b in combinations(X_hats, 2)], 0)),
        "sensitivity_eps_rms_01": per_story(rms(X_hat, _generate(model, S, h_0, noises[1]))),
        "sensitivity_eps_0_rms_01": per_story(rms(X_hat, _generate(model, S, h_0s[1], noise))),
        "sensitivity_h_0_rms_01": per_story(rms(X_hat, _generate(model, S, h_0.roll(1, 0), noise))),
    }


def _generate(model: StoryGAN, S: Tensor, h_0: Tensor, noise: Noise) -> Tensor:
    """Generate frames (N, T, 3, 64, 64) in [0, 1] from a given h_0 (N, 128); `noise.eps_0` is unused."""
    o = model.context_encoder(S, noise.eps, h_0, noise.g_0)
    return (model.frames(o).float().cpu() + 1) / 2


def rms(a: Tensor, b: Tensor) -> np.ndarray:
    """Compute the root mean square difference of stories (N, ...): (N,)."""
    return (a - b).square().flatten(1).mean(1).sqrt().numpy()
