"""Locations on the floor at which a classifier looks for objects."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.clevr.locations import (
    EMPTY_DISTANCE,
    LOCATION_HEIGHT,
    SAFE_DISTANCE,
    distances,
    empty_locations,
    floor_grid,
    image_coordinates,
    parse_objects,
    sample_locations,
)
from storygan.errors import UsageError
from storygan.text.clevr import ATTRIBUTES

STORY = ["large red rubber cube at (0, 0)", "small blue metal sphere at (2.5, -1)"]


def test_attributes_are_in_the_order_of_the_sentence() -> None:
    attributes, floor = parse_objects([STORY])
    names = [[values[k] for values, k in zip(ATTRIBUTES.values(), thing, strict=True)] for thing in attributes[0]]
    assert names == [["large", "red", "rubber", "cube"], ["small", "blue", "metal", "sphere"]]
    assert floor.tolist() == [[[0, 0], [2.5, -1]]]
    with pytest.raises(UsageError, match="pink"):
        parse_objects([["small pink metal cube at (0, 0)"]])


def test_camera_is_at_the_front_right() -> None:
    """The middle of the floor is in the middle of the image; nearer locations are lower, and x and y both go right."""
    (middle, east, north, near) = image_coordinates(np.array([(0, 0), (2, 0), (0, 2), (2, -2)], np.float32))
    assert middle[0] == pytest.approx(0.5)
    assert 0.4 < middle[1] < 0.5, f"{LOCATION_HEIGHT} above the point that the camera looks at"
    assert east[0] > middle[0] < north[0]
    assert near[1] > east[1] > middle[1]
    assert ((image_coordinates(floor_grid()) > 0) & (image_coordinates(floor_grid()) < 1)).all()


def test_empty_locations_are_far_from_the_objects_so_far() -> None:
    _, floor = parse_objects([STORY])
    locations = np.array([(0, SAFE_DISTANCE - 0.1), (0, SAFE_DISTANCE + 0.1), (2.5, -1)], np.float32)
    assert empty_locations(locations, floor).tolist() == [[[False, True, True], [False, True, False]]]


def test_sampled_locations_are_labelled_by_the_visible_objects() -> None:
    rng = np.random.default_rng(0)
    floor = rng.uniform(-3, 3, (20, 4, 2)).astype(np.float32)
    t = np.arange(20) % 4
    sample = sample_locations(floor, t, rng)
    assert np.array_equal(sample.floor[:, :4], floor)
    assert sample.floor.shape[1] == sample.present.shape[1] == sample.known.shape[1] == 28
    for n in range(20):
        assert sample.present[n].tolist() == [k <= t[n] for k in range(28)]
        nearest = distances(sample.floor[n], floor[n, : t[n] + 1]).min(-1)
        assert np.array_equal(sample.known[n], sample.present[n] | (nearest >= EMPTY_DISTANCE))
