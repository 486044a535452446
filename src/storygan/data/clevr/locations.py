"""Locations on the floor at which a classifier looks for the objects of CLEVR-SV stories.

They are projected with the camera without jitter. The jitter of a story, up to 0.5 units, moves an object by up to
about 3 of 64 pixels. The classifier is trained on such frames and tolerates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storygan.clevr.geometry import Camera
from storygan.text.clevr import ATTRIBUTES, LIMIT, parse_sentence

LOCATION_HEIGHT = 0.5
"""Scene units: between the centres of a small object, 0.35, and of a large one, 0.70."""
SAFE_DISTANCE = 1.5
"""Scene units from all objects at which a location shows none of them, under any camera jitter."""
GRID_STEP = 0.75
"""Scene units between the locations of `floor_grid`."""
EMPTY_LOCATIONS, EMPTY_DISTANCE = 24, 1.2
"""Random locations per frame, and scene units from all objects at which one counts as empty."""


def parse_objects(stories: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Parse the CLEVR-SV sentences of N stories of T.

    Returns:
        Attributes (N, T, 4) int64, indices into the values of `ATTRIBUTES`, and floor (N, T, 2) float32, x and y in
        [-3, 3].

    Raises:
        UsageError: a sentence does not follow the CLEVR-SV grammar.
    """
    objects = [[parse_sentence(sentence) for sentence in story] for story in stories]
    attributes = [
        [[values.index(getattr(thing, name)) for name, values in ATTRIBUTES.items()] for thing in story]
        for story in objects
    ]
    return np.array(attributes), np.array([[(thing.x, thing.y) for thing in story] for story in objects], np.float32)


def image_coordinates(floor: np.ndarray) -> np.ndarray:
    """Project x and y on the floor (..., 2) to image coordinates (..., 2) in [0, 1], right and down, float32."""
    points = np.concatenate([floor, np.full_like(floor[..., :1], LOCATION_HEIGHT)], -1)
    return Camera().project(points).astype(np.float32)


def floor_grid() -> np.ndarray:
    """Return a grid of floor locations: (G, 2) float32, x and y from -3 to 3 in steps of GRID_STEP."""
    line = np.arange(-LIMIT, LIMIT + GRID_STEP / 2, GRID_STEP, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def distances(locations: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Compute the distances of locations (..., P, 2) to objects (..., T, 2): (..., P, T)."""
    return np.linalg.norm(locations[..., :, None, :] - floor[..., None, :, :], axis=-1)


def empty_locations(locations: np.ndarray, floor: np.ndarray, distance: float = SAFE_DISTANCE) -> np.ndarray:
    """Return which locations are `distance` or more from all objects that frame t shows, those of sentences 1 to t.

    Args:
        locations: (P, 2) or (N, P, 2).
        floor: (N, T, 2), the objects.
        distance: scene units.

    Returns:
        (N, T, P) bool.
    """
    locations = np.broadcast_to(locations, (len(floor), *locations.shape[-2:]))
    nearest = np.minimum.accumulate(distances(locations, floor), -1)
    return nearest.swapaxes(-1, -2) >= distance


@dataclass(frozen=True)
class LocationSample:
    """Labelled locations of B frames: those of the T sentences, then EMPTY_LOCATIONS random ones."""

    floor: np.ndarray
    """(B, P, 2) float32, x and y; P = T + EMPTY_LOCATIONS."""
    present: np.ndarray
    """(B, P) bool: an object is present."""
    known: np.ndarray
    """(B, P) bool: `present` is unambiguous."""


def sample_locations(floor: np.ndarray, t: np.ndarray, rng: np.random.Generator) -> LocationSample:
    """Sample labelled locations of frames t (B,), from 0, of stories with objects at `floor` (B, T, 2).

    Frame t shows the objects of sentences 1 to t + 1. Locations of later sentences and random ones are empty where they
    are EMPTY_DISTANCE or more from all visible objects. Occlusion needs no rule. In CLEVR-SV each object shows at
    least 200 of 320x240 pixels in the last frame, 11 of 64x64, and so in every frame.
    """
    visible = np.arange(floor.shape[1]) <= t[:, None]  # (B, T)
    empty = rng.uniform(-LIMIT, LIMIT, (len(floor), EMPTY_LOCATIONS, 2)).astype(np.float32)
    locations = np.concatenate([floor, empty], 1)
    far = np.where(visible[:, None], distances(locations, floor), np.inf).min(-1) >= EMPTY_DISTANCE  # (B, P)
    present = np.concatenate([visible, np.zeros((len(floor), EMPTY_LOCATIONS), bool)], 1)
    return LocationSample(locations, present, present | far)
