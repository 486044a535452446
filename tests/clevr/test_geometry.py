"""The camera, and ray casting of the object that each pixel shows."""

import numpy as np
import pytest

from storygan.clevr.geometry import Camera, object_mask, visible_pixels
from storygan.data.clevr.scene import Scene
from storygan.text.clevr import ClevrObject


def test_camera_looks_at_the_origin_under_any_jitter() -> None:
    for jitter in ((0, 0, 0), (0.5, -0.5, 0.3)):
        assert Camera(jitter).project(np.zeros(3)) == pytest.approx([0.5, 0.5])


def test_right_and_behind_on_the_floor_are_right_and_up_in_the_image() -> None:
    middle, right, behind, above = Camera().project(
        np.array([(0, 0, 0), (0.656, 0.754, 0), (-0.754, 0.656, 0), (0, 0, 1)])
    )
    assert right[0] > middle[0] + 0.05
    assert behind[1] < middle[1] - 0.05
    assert above[1] < middle[1] - 0.05
    assert above[0] == pytest.approx(0.5)


def test_floor_inverts_project() -> None:
    camera = Camera((0.4, 0.1, -0.5))
    points = np.random.default_rng(0).uniform(-3, 3, (100, 3)) * (1, 1, 0)
    assert camera.floor(camera.project(points)) == pytest.approx(points[:, :2])


def test_ray_projects_to_its_image_point() -> None:
    camera = Camera((-0.3, 0.2, 0.5))
    x, y = np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.8])
    ends = camera.position[:, None, None] + 5 * camera.rays(x, y)
    assert camera.project(np.moveaxis(ends, 0, -1)) == pytest.approx(np.stack(np.meshgrid(x, y), -1))


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_solid_covers_the_pixels_that_its_surface_projects_to(shape: str) -> None:
    camera, centre, radius, angle = Camera((0.2, 0.3, -0.4)), np.array([1.2, -0.7, 0.7]), 0.7, 0.5
    mask = object_mask([shape], centre[None], [radius], [angle], camera)
    rng = np.random.default_rng(0)
    p = rng.normal(size=(200_000, 3))
    if shape == "sphere":
        p /= np.linalg.norm(p, axis=1, keepdims=True)
    elif shape == "cube":
        p /= np.abs(p).max(1, keepdims=True)
    else:  # the ends and the side
        p /= np.maximum(np.hypot(p[:, 0], p[:, 1]), np.abs(p[:, 2]))[:, None]
    c, s = np.cos(angle), np.sin(angle)
    points = p @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) * radius + centre
    pixels = np.floor(camera.project(points) * (320, 240)).astype(int)
    covered = np.zeros((240, 320), bool)
    covered[pixels[:, 1], pixels[:, 0]] = True
    assert (mask == 0).sum() > 1000
    assert covered[mask == 0].all()
    assert (covered & (mask < 0)).sum() < 0.06 * covered.sum()  # pixels on the outline, their centres outside


def test_nearer_object_occludes_the_farther() -> None:
    toward = np.array([7.481, -6.508]) / np.hypot(7.481, 6.508)
    near, far = (ClevrObject("cube", "red", "metal", "large", *(d * toward).tolist()) for d in (2.0, -0.5))
    unoccluded = visible_pixels(Scene((far,), (0.0,)).mask(), 1)[0]
    for objects, index in (((near, far), 1), ((far, near), 0)):
        assert visible_pixels(Scene(objects, (0.0, 0.0)).mask(), 2)[index] < 0.7 * unoccluded
