"""What is true of a data set's frames: what the classifier learns from, and what frames are judged by."""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass(frozen=True)
class LabelledFrames:
    """N stories of T frames, and what is true of them."""

    frames: np.ndarray
    """(N, T, H, W, 3) uint8."""
    words: np.ndarray | None
    """(N, T, 4), see `parse_objects`; None where the sentences are not CLEVR-SV's."""
    floor: np.ndarray | None
    """(N, T, 2), likewise."""
    labels: np.ndarray
    """(N, T, K) of 0 and 1: the data set's, or the 15 presence labels that CLEVR-SV sentences imply."""
    label_names: tuple[str, ...]

    def read_by(self, classifier: AttributeClassifier) -> tuple[bool, bool]:
        """Whether a classifier knows what is at places of these frames, and whether it knows their labels."""
        return self.words is not None and classifier.predicts_locations, self.label_names == classifier.labels


def labelled_frames(dataset: StoryDataset) -> LabelledFrames:
    """Read a data set. Raises UsageError where it has neither CLEVR-SV sentences nor labels."""
    words = floor = None
    labels, names = dataset.labels, dataset.label_names
    try:
        words, floor = parse_objects(dataset.sentences)
    except UsageError as error:
        if labels is None:
            raise UsageError(f"nothing to recognize: the stories have no labels, and {error}") from error
    if labels is None or names is None:
        told = [[parse_sentence(sentence) for sentence in story] for story in dataset.sentences]
        labels, names = np.array([presence_labels(story) for story in told]), LABELS
    return LabelledFrames(dataset.frames, words, floor, labels, names)


def labelled_frames_if_any(dataset: StoryDataset) -> LabelledFrames | None:
    """Read a data set; None where it has neither CLEVR-SV sentences nor labels: then pixels and features remain."""
    try:
        return labelled_frames(dataset)
    except UsageError:
        return None


def find_classifier(known: LabelledFrames | None, folder: str | Path | None = None) -> AttributeClassifier:
    """The classifier in `folder`, or the first shipped one that knows these stories; else the first, CLEVR-SV's.
    Folded: it looks at frames, and does not learn.

    Raises:
        UsageError: the one in the folder knows nothing of these stories.
        StoryganError: the folder holds none, or a torn one.
    """
    if folder:
        judge = AttributeClassifier.load(folder)
        if known is None or not any(known.read_by(judge)):
            raise UsageError(f"{folder} is a classifier of neither the places nor the labels of these stories")
        return fuse_batch_norm(judge)
    if known is None:
        return fuse_batch_norm(AttributeClassifier.load(SHIPPED))
    shipped = [AttributeClassifier.load(folder) for folder in sorted(SHIPPED.parent.glob("classifier-*"))]
    return fuse_batch_norm(next((classifier for classifier in shipped if any(known.read_by(classifier))), shipped[0]))


@dataclass
class Targets:
    """What N frames show. Of CLEVR-SV stories also objects, at P locations of which the first T are the sentences'."""

    labels: Tensor
    """(N, K) in {0, 1}."""
    locations: Any = None
    """(N, P, 2) picture coordinates in [0, 1]."""
    present: Any = None
    """(N, P) bool: an object is there."""
    counts: Any = None
    """(N, P) bool: whether there is one is known."""
    attributes: Any = None
    """(N, T, 4) int64, the objects' size, colour, material and shape."""
    direction: Any = None
    """(N, T, 2) unit vectors: a cube's yaw."""
    has_direction: Any = None
    """(N, T) bool: the object has a direction, and the frame shows it."""

    def to(self, device: torch.device) -> Targets:
        """Return the same targets on another device."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if part is not None})

    def __getitem__(self, rows: slice) -> Targets:
        """Return the targets of some of the frames."""
        return replace(self, **{name: part[rows] for name, part in vars(self).items() if part is not None})


class FrameContent:
    """What the frames of a data set show, from its sentences, labels and nuisance values.

    Raises:
        UsageError: the data set has neither CLEVR-SV sentences nor labels.
    """

    def __init__(self, dataset: StoryDataset) -> None:
        self.known: LabelledFrames = labelled_frames(dataset)
        self.direction: np.ndarray | None = None
        if dataset.frame_nuisance is not None and dataset.frame_nuisance.shape[2] >= 2:
            pair = dataset.frame_nuisance[..., :2]
            with np.errstate(invalid="ignore"):
                self.direction = (pair / np.linalg.norm(pair, axis=-1, keepdims=True)).astype(np.float32)

    @property
    def has_locations(self) -> bool:
        """Whether the sentences say where objects are."""
        return self.known.floor is not None

    def targets(self, story_idx: np.ndarray, frame_idx: np.ndarray, rng: np.random.Generator) -> Targets:
        """Return the targets of frames (B, n) of stories (B,), with random empty locations from `rng`; N = B*n."""
        n, t = np.repeat(story_idx, frame_idx.shape[1]), frame_idx.flatten()
        found = Targets(torch.from_numpy(self.known.labels[n, t]).float())
        if self.known.floor is None or self.known.words is None:
            return found
        asked = sample_locations(self.known.floor[n], t, rng)
        parts = (image_coordinates(asked.floor), asked.present, asked.known, self.known.words[n])
        found.locations, found.present, found.counts, found.attributes = map(torch.from_numpy, parts)
        if self.direction is not None:
            direction = torch.from_numpy(self.direction[n])
            found.direction = direction.nan_to_num()
            found.has_direction = ~direction.isnan().any(-1) & found.present[:, : direction.shape[1]]
        return found


def to_images(frames: np.ndarray) -> Tensor:
    """uint8 (B, T, H, W, 3) -> float32 (B, T, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).movedim(-1, 2).float().div_(127.5).sub_(1)


def augment(X: Tensor, targets: Targets, rng: np.random.Generator) -> tuple[Tensor, Targets]:
    """Shift, mirror and blemish real frames (B, n, 3, 64, 64), so that the classifier also reads generated ones."""
    x, moved, mirrored = move(blemish(X.flatten(0, 1), rng), rng)
    if targets.locations is None:
        return x.view_as(X), targets
    locations = torch.from_numpy(moved(targets.locations.numpy()))
    has = None if targets.has_direction is None else targets.has_direction & ~torch.from_numpy(mirrored)[:, None]
    return x.view_as(X), replace(targets, locations=locations, has_direction=has)  # a mirror reverses a direction


def classifier_terms(C: Any, x: Tensor, targets: Targets, weights: AuxClassifierLoss) -> dict[str, Tensor]:
    """Return the terms of the classifier on frames (N, 3, 64, 64), by name: those with a weight and a target."""
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


def move(x: Tensor, rng: np.random.Generator) -> tuple[Tensor, Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Frames (B, 3, H, W), half of them mirrored, all shifted by up to 2 pixels either way, which no object minds;
    what does the same to places (B, P, 2) in the picture; and which are mirrored, (B,)."""
    B, _, H, W = x.shape
    mirrored, across, down = rng.random(B) < 0.5, rng.integers(-2, 3, B), rng.integers(-2, 3, B)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    moved = torch.stack([padded[b, :, 2 - down[b] :, 2 - across[b] :][:, :H, :W] for b in range(B)])
    moved = torch.where(torch.from_numpy(mirrored)[:, None, None, None], moved.flip(3), moved)

    def placed(places: np.ndarray) -> np.ndarray:
        places = (places + np.stack([across / W, down / H], 1)[:, None]).astype(np.float32)
        return np.where(mirrored[:, None, None], (1, 0) + places * (-1, 1), places).astype(np.float32)

    return moved, placed, mirrored


def blemish(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames (B, 3, H, W) in [-1, 1] as a generator might draw them: some of them a little blurred or noisy, all a
    little off in brightness and contrast, so that the classifier judges what is drawn and not how sharply."""
    B = len(x)
    sigma = np.where(rng.random(B) < 0.35, rng.uniform(0.2, 0.7, B), 0).astype(np.float32)  # pixels
    noise = np.where(rng.random(B) < 0.35, rng.uniform(0, 0.08, B), 0).astype(np.float32)  # of a range of 2
    gain = rng.uniform(0.92, 1.08, B).astype(np.float32)
    shift = rng.uniform(-0.06, 0.06, B).astype(np.float32)
    each = [torch.from_numpy(values)[:, None, None, None] for values in (noise, gain, shift)]
    normal = torch.from_numpy(rng.standard_normal(x.shape, np.float32))
    return blur(x, torch.from_numpy(sigma)) * each[1] + each[2] + each[0] * normal


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, sigma (B,) in pixels up to 1, of frames (B, 3, H, W)."""
    B, C, H, W = x.shape
    line = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(line**2) / (2 * sigma[:, None] ** 2 + 1e-6))  # (B, 5)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(C, 0)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate").reshape(1, B * C, H + 4, W + 4)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=B * C)
    return F.conv2d(rows, kernel[:, None, None, :], groups=B * C).reshape(B, C, H, W)
