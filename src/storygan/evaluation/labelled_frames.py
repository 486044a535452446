"""Real frames with their labels and objects: targets, augmentation and loss terms of the attribute classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storygan.config import AuxClassifierLoss
from storygan.data.clevr.locations import image_coordinates, parse_objects, sample_locations
from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.losses import label_loss
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.attribute_classifier import SHIPPED, AttributeClassifier, object_loss, yaw_loss
from storygan.text.clevr import LABELS, parse_sentence, presence_labels


@dataclass
class ClassifierTargets:
    """Ground truth of N frames. CLEVR-SV sentences also give objects at P locations, the first T theirs."""

    labels: Tensor
    """(N, K) in {0, 1}."""
    locations: Any = None
    """(N, P, 2) image coordinates in [0, 1]."""
    present: Any = None
    """(N, P) bool: an object is at the location."""
    counts: Any = None
    """(N, P) bool: the location counts in the loss, as `present` is certain there."""
    attributes: Any = None
    """(N, T, 4) int64, the objects' size, colour, material and shape."""
    direction: Any = None
    """(N, T, 2) unit vectors: a cube's yaw."""
    has_direction: Any = None
    """(N, T) bool: the object has a direction, and the frame shows it."""

    def to(self, device: torch.device) -> ClassifierTargets:
        """Return the same targets on another device."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if part is not None})

    def __getitem__(self, rows: slice) -> ClassifierTargets:
        """Return the targets of some of the frames."""
        return replace(self, **{name: part[rows] for name, part in vars(self).items() if part is not None})


@dataclass(frozen=True)
class LabelledFrames:
    """N stories of T frames with what they show: labels and, with CLEVR-SV sentences, objects at positions."""

    frames: np.ndarray
    """(N, T, H, W, 3) uint8."""
    labels: np.ndarray
    """(N, T, K) in {0, 1}: the data set's, or else the 15 presence labels that CLEVR-SV sentences imply."""
    label_names: tuple[str, ...]
    attributes: np.ndarray | None = None
    """(N, T, 4) int64, of the object that each sentence adds; None if the sentences are not CLEVR-SV's."""
    positions: np.ndarray | None = None
    """(N, T, 2) float32, its x and y on the floor; None likewise."""
    direction: np.ndarray | None = None
    """(N, T, 2) float32, a cube's yaw as a unit vector, NaN for other objects; None without nuisance values."""

    @classmethod
    def from_dataset(cls, dataset: StoryDataset) -> LabelledFrames:
        """Read labels, sentences and nuisance values of a data set.

        Raises:
            UsageError: the data set has neither CLEVR-SV sentences nor labels.
        """
        attributes = positions = direction = None
        labels, names = dataset.labels, dataset.label_names
        try:
            attributes, positions = parse_objects(dataset.sentences)
        except UsageError as error:
            if labels is None:
                raise UsageError(f"nothing to classify: the stories have no labels, and {error}") from error
        if labels is None or names is None:
            stories = [[parse_sentence(sentence) for sentence in story] for story in dataset.sentences]
            labels, names = np.array([presence_labels(story) for story in stories]), LABELS
        if dataset.frame_nuisance is not None and dataset.frame_nuisance.shape[2] >= 2:
            pair = dataset.frame_nuisance[..., :2]
            with np.errstate(invalid="ignore"):
                direction = (pair / np.linalg.norm(pair, axis=-1, keepdims=True)).astype(np.float32)
        return cls(dataset.frames, labels, names, attributes, positions, direction)

    @property
    def has_locations(self) -> bool:
        """Whether the sentences give the locations of objects."""
        return self.positions is not None

    def supported_by(self, classifier: AttributeClassifier) -> tuple[bool, bool]:
        """Return whether a classifier predicts objects at locations of these frames, and whether their labels."""
        return self.has_locations and classifier.predicts_locations, self.label_names == classifier.labels

    def targets(self, story_idx: np.ndarray, frame_idx: np.ndarray, rng: np.random.Generator) -> ClassifierTargets:
        """Return the targets of frames (B, n) of stories (B,), with random empty locations from `rng`; N = B*n."""
        n, t = np.repeat(story_idx, frame_idx.shape[1]), frame_idx.flatten()
        targets = ClassifierTargets(torch.from_numpy(self.labels[n, t]).float())
        if self.positions is None or self.attributes is None:
            return targets
        sampled = sample_locations(self.positions[n], t, rng)
        parts = (image_coordinates(sampled.floor), sampled.present, sampled.known, self.attributes[n])
        targets.locations, targets.present, targets.counts, targets.attributes = map(torch.from_numpy, parts)
        if self.direction is not None:
            direction = torch.from_numpy(self.direction[n])
            targets.direction = direction.nan_to_num()
            targets.has_direction = ~direction.isnan().any(-1) & targets.present[:, : direction.shape[1]]
        return targets


def labelled_frames_if_any(dataset: StoryDataset) -> LabelledFrames | None:
    """Return a data set's labelled frames; None if it has neither CLEVR-SV sentences nor labels."""
    try:
        return LabelledFrames.from_dataset(dataset)
    except UsageError:
        return None


def find_classifiers(
    truth: LabelledFrames | None, folders: Sequence[str | Path] = (), device: torch.device | None = None
) -> list[AttributeClassifier]:
    """Load the evaluation classifiers, with batch norm fused: those in `folders`, or all shipped ones that fit.

    If none fits, load the one for CLEVR-SV, of which only the features are then of use.

    Raises:
        UsageError: a classifier in `folders` predicts nothing that these frames have.
        StoryganError: a folder holds no classifier, or a damaged one.
    """

    def fits(classifier: AttributeClassifier) -> bool:
        return truth is not None and any(truth.supported_by(classifier))

    found = [AttributeClassifier.load(folder) for folder in folders or sorted(SHIPPED.parent.glob("classifier-*"))]
    for folder, classifier in zip(folders, found, strict=False):
        if not fits(classifier):
            raise UsageError(f"the classifier {folder} fits neither the locations nor the labels of these stories")
    return [fuse_batch_norm(each.to(device)) for each in [*filter(fits, found)] or [AttributeClassifier.load()]]


def classifier_terms(C: Any, x: Tensor, targets: ClassifierTargets, weights: AuxClassifierLoss) -> dict[str, Tensor]:
    """Return the loss terms of the classifier on frames (N, 3, 64, 64), by name: those with a weight and a target."""
    maps, labels, _ = C(x.contiguous(memory_format=torch.channels_last))
    terms = {"label": label_loss(labels, targets.labels)} if weights.label else {}
    if targets.locations is not None and (weights.present or weights.attributes):
        terms["present"], terms["attributes"] = object_loss(
            maps, targets.locations, targets.present, targets.counts, targets.attributes
        )
    if targets.direction is not None and weights.direction:
        T = targets.direction.shape[1]
        terms["direction"] = yaw_loss(maps, targets.locations[:, :T], targets.direction, targets.has_direction)
    return terms


# ---- augmentation ----


def to_images(frames: np.ndarray | Tensor) -> Tensor:
    """Convert uint8 (B, T, H, W, 3) to float32 (B, T, 3, H, W) in [-1, 1]."""
    return torch.as_tensor(frames).movedim(-1, 2).float().div_(127.5).sub_(1)


def augment(X: Tensor, targets: ClassifierTargets, rng: np.random.Generator) -> tuple[Tensor, ClassifierTargets]:
    """Degrade, shift and flip real frames (B, n, 3, 64, 64), so that the classifier generalizes to generated ones."""
    x, move, flipped = shift_and_flip(degrade(X.flatten(0, 1), rng), rng)
    if targets.locations is None:
        return x.view_as(X), targets
    locations = torch.from_numpy(move(targets.locations.numpy()))
    has = None if targets.has_direction is None else targets.has_direction & ~torch.from_numpy(flipped)[:, None]
    return x.view_as(X), replace(targets, locations=locations, has_direction=has)  # a flip reverses a direction


def shift_and_flip(
    x: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Shift frames (B, 3, H, W) by up to 2 pixels in x and y and flip half of them horizontally.

    Returns:
        the frames; a function that moves image coordinates (B, P, 2) likewise; which frames are flipped, (B,) bool.
    """
    B, _, H, W = x.shape
    flipped, dx, dy = rng.random(B) < 0.5, rng.integers(-2, 3, B), rng.integers(-2, 3, B)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    moved = torch.stack([padded[b, :, 2 - dy[b] :, 2 - dx[b] :][:, :H, :W] for b in range(B)])
    moved = torch.where(torch.from_numpy(flipped)[:, None, None, None], moved.flip(3), moved)

    def move(locations: np.ndarray) -> np.ndarray:
        locations = (locations + np.stack([dx / W, dy / H], 1)[:, None]).astype(np.float32)
        return np.where(flipped[:, None, None], (1, 0) + locations * (-1, 1), locations).astype(np.float32)

    return moved, move, flipped


def degrade(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur about a third of the frames (B, 3, H, W), add noise to a third, and change brightness and contrast of all.

    Generated frames have such defects; the classifier should predict their contents regardless.
    """
    B = len(x)
    sigma = np.where(rng.random(B) < 0.35, rng.uniform(0.2, 0.7, B), 0).astype(np.float32)  # pixels
    noise = np.where(rng.random(B) < 0.35, rng.uniform(0, 0.08, B), 0).astype(np.float32)  # of a range of 2
    gain = rng.uniform(0.92, 1.08, B).astype(np.float32)
    offset = rng.uniform(-0.06, 0.06, B).astype(np.float32)
    noise_, gain_, offset_ = (torch.from_numpy(values)[:, None, None, None] for values in (noise, gain, offset))
    normal = torch.from_numpy(rng.standard_normal(x.shape, np.float32))
    return gaussian_blur(x, torch.from_numpy(sigma)) * gain_ + offset_ + noise_ * normal


def gaussian_blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur frames (B, 3, H, W) with sigma (B,) in pixels, at most 1."""
    B, C, H, W = x.shape
    offsets = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(offsets**2) / (2 * sigma[:, None] ** 2 + 1e-6))  # (B, 5)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(C, 0)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate").reshape(1, B * C, H + 4, W + 4)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=B * C)
    return F.conv2d(rows, kernel[:, None, None, :], groups=B * C).reshape(B, C, H, W)
