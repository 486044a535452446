"""Places on the floor."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.clevr.locations import HEIGHT, SAFE, floor_grid, in_picture, parse_objects, safe_places
from storygan.errors import UsageError
from storygan.text.clevr import ATTRIBUTES

STORY = ["large red rubber cube at (0, 0)", "small blue metal sphere at (2.5, -1)"]


def test_sentences_are_read_in_the_order_of_the_attributes() -> None:
    words, floor = parse_objects([STORY])
    told = [[options[k] for options, k in zip(ATTRIBUTES.values(), thing, strict=True)] for thing in words[0]]
    assert told == [["large", "red", "rubber", "cube"], ["small", "blue", "metal", "sphere"]]
    assert floor.tolist() == [[[0, 0], [2.5, -1]]]
    with pytest.raises(UsageError, match="pink"):
        parse_objects([["small pink metal cube at (0, 0)"]])


def test_the_picture_is_seen_from_the_front_right() -> None:
    """The middle of the floor is in the middle of the picture; nearer places are lower, and x and y both go right."""
    (middle, east, north, near) = in_picture(np.array([(0, 0), (2, 0), (0, 2), (2, -2)], np.float32))
    assert middle[0] == pytest.approx(0.5)
    assert 0.4 < middle[1] < 0.5, f"{HEIGHT} above the point that the camera looks at"
    assert east[0] > middle[0] < north[0]
    assert near[1] > east[1] > middle[1]
    assert ((in_picture(floor_grid()) > 0) & (in_picture(floor_grid()) < 1)).all()


def test_safe_places_are_far_from_what_has_been_told_so_far() -> None:
    _, floor = parse_objects([STORY])
    places = np.array([(0, SAFE - 0.1), (0, SAFE + 0.1), (2.5, -1)], np.float32)
    assert safe_places(places, floor).tolist() == [[[False, True, True], [False, True, False]]]
