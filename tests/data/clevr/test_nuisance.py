"""The nuisance columns of CLEVR-SV, checked by geometry and by their distribution."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from storygan.clevr.constants import CAMERA
from storygan.data.clevr.nuisance import COLUMNS, foreground_masks, frame_nuisance, nuisance_fields, story_nuisance
from storygan.data.clevr.scene import Scene, sample_scene
from storygan.text.clevr import ClevrObject


def cube(x: float, y: float) -> ClevrObject:
    return ClevrObject("cube", "red", "rubber", "large", x, y)


def on_diagonal(rotation: float, camera: tuple[float, float, float] = (0.3, 0.2, -0.1)) -> Scene:
    """Return a cube that the camera sees along the direction (-1, 1) of the floor."""
    return Scene((cube(CAMERA[0] + camera[0] - 6.5, CAMERA[1] + camera[1] + 6.5),), (rotation,), camera)


def direction(scene: Scene) -> np.ndarray:
    (pair,) = np.array(frame_nuisance(scene, np.random.default_rng(0)))
    return pair / np.linalg.norm(pair)


def test_direction_of_a_cube_seen_by_its_face_its_edge_and_between() -> None:
    eighth = math.pi / 4
    assert np.allclose(direction(on_diagonal(eighth)), (1, 0), atol=1e-6)  # its face, which is orthogonal to (-1, 1)
    assert np.allclose(direction(on_diagonal(3 * eighth)), (1, 0), atol=1e-6)  # another of its faces
    assert np.allclose(direction(on_diagonal(0)), (-1, 0), atol=1e-6)  # its edge
    assert np.allclose(direction(on_diagonal(1.5 * eighth)), (0, 1), atol=1e-6)  # counterclockwise from the face
    assert np.allclose(direction(on_diagonal(0.5 * eighth)), (0, -1), atol=1e-6)
    face, edge = (np.ptp(np.nonzero(foreground_masks(on_diagonal(rotation), 512)[0])[1]) for rotation in (eighth, 0))
    assert 1.2 < edge / face < 1.6


def test_yaw_is_relative_to_the_line_of_sight() -> None:
    sight = math.radians(112.5)  # the nearest face of an unrotated cube is a sixteenth of a turn clockwise
    scene = Scene((cube(CAMERA[0] + 7 * math.cos(sight), CAMERA[1] + 7 * math.sin(sight)),), (0.0,))
    assert np.allclose(direction(scene), (0, -1), atol=1e-6)


def test_yaw_depends_on_camera_jitter() -> None:
    scene = on_diagonal(0.0)
    assert not np.allclose(direction(scene), direction(replace(scene, camera=(-0.3, 0.4, 0))), atol=0.05)


def test_only_cubes_have_a_yaw() -> None:
    shapes = ("sphere", "cube", "cylinder")
    scene = replace(sample_scene(0, 0, 3), rotations=(0.1, 0.2, 0.3))
    scene = replace(scene, objects=tuple(replace(o, shape=s) for o, s in zip(scene.objects, shapes, strict=True)))
    rows = frame_nuisance(scene, np.random.default_rng(0))
    assert (rows[0], rows[2]) == ([None, None], [None, None])
    assert all(isinstance(value, float) for value in rows[1])


def test_jitter_becomes_the_normal_value_of_the_same_rank() -> None:
    scene = Scene((), (), camera=(0.25, 0, -0.5), key=(0.5, -0.5, 1.0), fill=(0, 0, 0.5), back=(-0.5, 0, 0))
    half = 0.6744898  # the third quartile of a standard normal variable
    limit = 4.7534243  # its 1 - 1e-6 quantile
    expected = [half, 0, -limit, half, -half, limit, 0, 0, half, -half, 0, 0]
    assert np.allclose(story_nuisance(scene), expected, atol=1e-5)
    assert COLUMNS.story is not None
    assert (COLUMNS.story[2], COLUMNS.story[3], COLUMNS.story[11]) == ("camera z", "key light x", "back light z")


def test_values_are_standard_normal_over_many_scenes() -> None:
    scenes = [sample_scene(0, number) for number in range(300)]
    columns = [nuisance_fields(scene, 0, number, 16) for number, scene in enumerate(scenes)]
    story = np.array([one["story_nuisance"] for one in columns])
    frame = np.array([one["frame_nuisance"] for one in columns], float)
    pairs = frame[np.isfinite(frame).all(-1)]
    assert len(pairs) > 300
    for values in (story, pairs):
        n = len(values)
        assert np.abs(values.mean(0)).max() < 4 / n**0.5
        assert np.abs(values.std(0) - 1).max() < 4 / (2 * n) ** 0.5
        assert abs((np.abs(values) < 1).mean() - 0.683) < 0.04  # 0.577 for uniform values of this variance
        assert np.abs(np.corrcoef(values.T) - np.eye(values.shape[1])).max() < 4.5 / n**0.5


def test_radius_depends_on_the_story() -> None:
    scene = sample_scene(0, 3)
    assert nuisance_fields(scene, 0, 3, 16) == nuisance_fields(scene, 0, 3, 16)
    one, another, third = (
        np.array(nuisance_fields(scene, *names, 16)["frame_nuisance"], float) for names in ((0, 3), (0, 4), (1, 3))
    )
    with np.errstate(invalid="ignore"):
        assert np.nanmin(np.abs(np.hypot(*one.T) - np.hypot(*another.T))) > 1e-3
        assert np.nanmin(np.abs(np.hypot(*one.T) - np.hypot(*third.T))) > 1e-3


@pytest.mark.parametrize("size", [64, 128])
def test_frame_t_shows_objects_0_to_t_and_no_later_one(size: int) -> None:
    rows, columns = (np.floor((np.arange(size) + 0.5) * n / size).astype(int) for n in (240, 320))
    for number in range(5):
        scene = sample_scene(1, number)
        masks = foreground_masks(scene, size)
        assert (masks.shape, masks.dtype) == ((4, size, size), bool)
        for t in range(4):
            cast = replace(scene, objects=scene.objects[: t + 1], rotations=scene.rotations[: t + 1]).mask()
            assert np.array_equal(masks[t], (cast >= 0)[np.ix_(rows, columns)])
        assert (np.diff(masks.sum((1, 2))) > 0).all()


def test_mask_has_one_channel() -> None:
    scene = sample_scene(1, 2)
    encoded = nuisance_fields(scene, 1, 2, 48)["foreground"]
    with Image.open(io.BytesIO(encoded[3])) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "1", (48, 48))
        assert np.array_equal(np.asarray(image), foreground_masks(scene, 48)[3])
