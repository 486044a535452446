"""What a story's frames must show, judged by the classifier. Pure functions of what was read; per story.

What the paper claims, each picture fits its sentence and the story holds together, as numbers. Where a docstring names
no source, the definition is this package's own.

All of them are in [0, 1] and better when larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.evaluation.bootstrap import PerStory, per_story
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import ATTRIBUTES


@dataclass(frozen=True)
class ObjectPredictions:
    """What the classifier reads in N stories of T frames. Axis 1 is the frame, axis 2 the object of a sentence."""

    there: np.ndarray
    """(N, T, T) bool: an object is at the place of that sentence."""
    words: np.ndarray
    """(N, T, T, 4): its size, colour, material and shape as they are read, indices into `ATTRIBUTES` in its order."""
    right: np.ndarray
    """(N, T, T, 4) bool: they are those of the sentence."""
    extra: np.ndarray
    """(N, T): at how many places of the floor's grid, far from all objects told so far, there is one."""


def object_accuracy(seen: ObjectPredictions) -> PerStory:
    """Frames t in which the object that sentence t adds is there with all four attributes right."""
    return per_story(_new(seen.there & seen.right.all(-1)))


def object_recall(seen: ObjectPredictions) -> PerStory:
    """Frames t in which an object, of whatever kind, is at the place of sentence t."""
    return per_story(_new(seen.there))


def attribute_accuracy(seen: ObjectPredictions) -> dict[str, PerStory]:
    """Object accuracy for one attribute alone: the object is there with its size (colour, ...) right."""
    right = seen.there[..., None] & seen.right
    return {f"{name}_accuracy": per_story(_new(right[..., k])) for k, name in enumerate(ATTRIBUTES)}


def story_consistency(seen: ObjectPredictions) -> PerStory:
    """Pairs (frame t, earlier sentence j < t) for which object j is still there in frame t with all four attributes."""
    T = seen.there.shape[1]
    later = np.tril_indices(T, -1)
    return per_story((seen.there & seen.right.all(-1))[:, later[0], later[1]])


def no_false_positives(seen: ObjectPredictions) -> PerStory:
    """Frames that show no object where none was told: see `Seen.extra`."""
    return per_story(seen.extra == 0)


def label_exact_match(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """Frames whose K labels are all right: found and labels (N, T, K) bool.

    StoryGAN (Li et al., CVPR 2019), section 4.2, calls it character accuracy on Pororo-SV.
    """
    return per_story((found == labels).all(-1))


def label_micro_f1(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """2 TP / (2 TP + FP + FN) over all frames and labels (Manning et al., Introduction to IR, 2008, section 13.6)."""
    hits = (found & labels).sum((1, 2))
    return PerStory(2.0 * hits, (found.sum((1, 2)) + labels.sum((1, 2))).astype(float))


def label_consistency(found: np.ndarray, labels: np.ndarray) -> PerStory:
    """Stories whose K labels are all right in every frame: of the labels for places, those that stay where they are."""
    return per_story((found == labels).all((1, 2)))


def _new(values: np.ndarray) -> np.ndarray:
    """(N, T, T) -> (N, T): frame t, object t."""
    return np.diagonal(values, axis1=1, axis2=2)


LOUDEST = 60.0
"""dB: PSNR is cut there, for that of equal frames is infinite."""
WINDOW, SIGMA = 11, 1.5
"""Of SSIM's Gaussian window, in pixels."""


def pixel_metrics(frames: np.ndarray, real: np.ndarray) -> dict[str, PerStory]:
    """SSIM and PSNR of RGB frames (N, T, H, W, 3), uint8.

    Returns:
        `ssim_01_gauss11`: frames in [0, 1], data range 1, Gaussian window of 11 pixels.
        `ssim_pm1_range1_gauss11`: frames in [-1, 1] scored as if their range were 1, not 2, as comes of giving a
            generator's frames to code whose constants are for [0, 1]. Comparable with such numbers and with nothing
            else: its constants are 4 times too small.
        `psnr_01`: in dB, frames in [0, 1], data range 1, at most 60: -10 log10 of the mean squared error (Wang and
            Bovik, 2009).
    """
    x, y = (torch.from_numpy(Z.reshape(-1, *Z.shape[2:])).movedim(-1, 1) / 255 for Z in (frames, real))
    psnr = -10 * (x - y).square().mean((1, 2, 3)).log10()
    moments = _moments(x, y)
    values = {
        "ssim_01_gauss11": _ssim(*moments),
        "ssim_pm1_range1_gauss11": _ssim(2 * moments[0] - 1, 2 * moments[1] - 1, *(4 * m for m in moments[2:])),
        "psnr_01": psnr.clamp(max=LOUDEST),
    }
    return {name: per_story(value.numpy().reshape(frames.shape[:2])) for name, value in values.items()}


def _ssim(mu_x: Tensor, mu_y: Tensor, var_x: Tensor, var_y: Tensor, cov: Tensor) -> Tensor:
    """SSIM (Wang et al., 2004, equation 13) for a data range of 1, from local moments (B, 3, H, W): (B,)."""
    c_1, c_2 = 0.01**2, 0.03**2
    above = (2 * mu_x * mu_y + c_1) * (2 * cov + c_2)
    return (above / ((mu_x**2 + mu_y**2 + c_1) * (var_x + var_y + c_2))).mean((1, 2, 3))


def _moments(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Means, variances and covariance under the window at each pixel (the border reflects): each (B, 3, H, W).

    Two products with a banded matrix: a good deal faster than the library's convolution with the whole window, and it
    serves both conventions.
    """
    x, y = (F.pad(z, [WINDOW // 2] * 4, mode="reflect") for z in (x, y))
    rows, columns = (_windows(size) for size in x.shape[2:])
    mu_x, mu_y, xx, yy, xy = (rows @ m @ columns.T for m in (x, y, x * x, y * y, x * y))
    return mu_x, mu_y, xx - mu_x**2, yy - mu_y**2, xy - mu_x * mu_y


def _windows(size: int) -> Tensor:
    """The window at each of the places where it fits a line of pixels: (size - 10, size), rows that sum to 1."""
    window = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    places = torch.zeros(size - WINDOW + 1, size)
    for k in range(len(places)):
        places[k, k : k + WINDOW] = window / window.sum()
    return places


SAMPLES = 4
"""Drawings of a story that are compared."""


@torch.no_grad()
def variety(model: StoryGAN, S: Tensor, seed: int) -> dict[str, PerStory]:
    """Draw N stories, of sentence vectors S (N, T, 128), in several ways and compare.

    Returns:
        `diversity_rms_01`: mean over the pairs of SAMPLES drawings, each from its own noise.
        `change_with_eps_rms_01`: between two drawings with one h_0 and other noise for the sentences (eps_t, g_0).
        `change_with_eps_0_rms_01`: between two drawings that differ in the noise of h_0 alone.
        `change_with_h_0_rms_01`: the same, but the second drawing's h_0 is another story's (the previous one's).
    """
    generator = seeded(seed)
    noises = [Noise.sample(len(S), model.config, generator) for _ in range(SAMPLES)]
    one, other = noises[0], noises[1]
    h_0, other_h_0 = (model.story_encoder(S, noise.eps_0)[0] for noise in (one, other))
    drawings = [draw(model, S, model.story_encoder(S, noise.eps_0)[0], noise) for noise in noises]
    pairs = [rms(a, b) for a, b in combinations(drawings, 2)]
    return {
        "diversity_rms_01": per_story(np.mean(pairs, 0)),
        "change_with_eps_rms_01": per_story(rms(drawings[0], draw(model, S, h_0, other))),
        "change_with_eps_0_rms_01": per_story(rms(drawings[0], draw(model, S, other_h_0, one))),
        "change_with_h_0_rms_01": per_story(rms(drawings[0], draw(model, S, h_0.roll(1, 0), one))),
    }


def draw(model: StoryGAN, S: Tensor, h_0: Tensor, noise: Noise) -> Tensor:
    """Frames (N, T, 3, 64, 64) in [0, 1] from a given h_0 (N, 128); `noise.eps_0` is not used."""
    o = model.context_encoder(S, noise.eps, h_0, noise.g_0)
    return (model.frames(o) + 1) / 2


def rms(a: Tensor, b: Tensor) -> np.ndarray:
    """Root mean square differences of stories (N, ...): (N,)."""
    return (a - b).square().flatten(1).mean(1).sqrt().numpy()
