"""Where the objects of CLEVR-SV stories are looked for: places on the floor, as the un-jittered camera sees them.

The camera of a story strays by up to 0.5 units, which nobody is told: an object then appears up to half a unit, about 3
of 64 pixels, from where its sentence says. The classifier is trained on such frames and puts up with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storygan.data.clevr.geometry import Camera
from storygan.text.clevr import ATTRIBUTES, LIMIT, parse_sentence

HEIGHT = 0.5
"""Height that is looked at: between the centres of a small object, 0.35, and of a large one, 0.70 (scene units)."""
SAFE = 1.5
"""Floor units: a place this far from all told objects shows none of them, whatever the camera's jitter."""
STEP = 0.75
"""Floor units between the places of `floor_grid`."""
EMPTY_PLACES, FAR = 24, 1.2
"""Random places of the floor a frame, and floor units from all objects from which one counts as empty."""


def parse_objects(stories: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """What CLEVR-SV sentences tell, of N stories of T.

    Returns:
        words (N, T, 4) int64, indices into `ATTRIBUTES` in its order, and floor (N, T, 2) float32, x and y in [-3, 3].

    Raises:
        UsageError: where a sentence is not of the CLEVR-SV grammar.
    """
    told = [[parse_sentence(sentence) for sentence in story] for story in stories]
    words = [
        [[options.index(getattr(thing, name)) for name, options in ATTRIBUTES.items()] for thing in story]
        for story in told
    ]
    return np.array(words), np.array([[(thing.x, thing.y) for thing in story] for story in told], np.float32)


def in_picture(floor: np.ndarray) -> np.ndarray:
    """Floor x and y (..., 2) -> picture coordinates (..., 2) in [0, 1], right and down, float32."""
    points = np.concatenate([floor, np.full_like(floor[..., :1], HEIGHT)], -1)
    return Camera().project(points).astype(np.float32)


def floor_grid() -> np.ndarray:
    """Places all over the floor: (G, 2) float32, x and y from -3 to 3 in steps of STEP."""
    line = np.arange(-LIMIT, LIMIT + STEP / 2, STEP, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def distances(places: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Floor distances of places (..., P, 2) to objects (..., T, 2): (..., P, T)."""
    return np.linalg.norm(places[..., :, None, :] - floor[..., None, :, :], axis=-1)


def safe_places(places: np.ndarray, floor: np.ndarray, distance: float = SAFE) -> np.ndarray:
    """Which of P places lie `distance` from all objects that frame t shows, those of sentences 1 to t.

    places (P, 2) or (N, P, 2), floor (N, T, 2) -> (N, T, P) bool.
    """
    nearest = np.minimum.accumulate(distances(np.broadcast_to(places, (len(floor), *places.shape[-2:])), floor), -1)
    return nearest.swapaxes(-1, -2) >= distance


@dataclass(frozen=True)
class Asked:
    """Places of B frames that are asked about: where the T sentences tell of an object, then EMPTY_PLACES others."""

    floor: np.ndarray
    """(B, P, 2) float32, x and y; P = T + EMPTY_PLACES."""
    there: np.ndarray
    """(B, P) bool: an object is there."""
    counts: np.ndarray
    """(B, P) bool: whether there is one is beyond doubt."""


def sample_locations(floor: np.ndarray, t: np.ndarray, rng: np.random.Generator) -> Asked:
    """What to ask of frames t (B,), from 0, of stories whose objects come to `floor` (B, T, 2).

    Frame t holds the objects of sentences 1 to t + 1. It holds none at the places of later sentences, nor at random
    places of the floor, where those are FAR from all of its objects. No rule for hidden objects is needed: CLEVR-SV's
    scenes are made such that each object shows at least 200 of 320x240 pixels in the last frame, which is 11 of 64x64,
    and so in every frame.
    """
    shown = np.arange(floor.shape[1]) <= t[:, None]  # (B, T)
    empty = rng.uniform(-LIMIT, LIMIT, (len(floor), EMPTY_PLACES, 2)).astype(np.float32)
    places = np.concatenate([floor, empty], 1)
    far = np.where(shown[:, None], distances(places, floor), np.inf).min(-1) >= FAR  # (B, P)
    there = np.concatenate([shown, np.zeros((len(floor), EMPTY_PLACES), bool)], 1)
    return Asked(places, there, there | far)
