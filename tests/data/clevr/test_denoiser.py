"""ShadowRestorer, the part of denoiser.py that needs no Blender."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.clevr.denoiser import ShadowRestorer

SIZE = 64


@pytest.fixture
def light() -> np.ndarray:
    """Return a surface with a soft shadow in its middle: (SIZE, SIZE, 3) linear light."""
    x = np.linspace(-1, 1, SIZE)
    shadow = np.exp(-8 * (x**2 + x[:, None] ** 2))
    return np.repeat((0.5 - 0.2 * shadow)[..., None], 3, -1).astype(np.float32)


def test_shadow_is_restored_and_noise_is_not(light: np.ndarray) -> None:
    noisy = light + np.random.default_rng(0).normal(0, 0.1, light.shape).astype(np.float32)
    flat = np.full_like(light, light.mean())
    restored = ShadowRestorer(SIZE, 3 / SIZE).restore(noisy, flat, np.ones((SIZE, SIZE), bool))
    assert np.abs(noisy - light).mean() > 0.07
    assert np.abs(flat - light).mean() > 0.02
    assert np.abs(restored - light).mean() < 0.012


def test_pixels_off_the_surface_neither_change_nor_contribute(light: np.ndarray) -> None:
    surface = np.ones((SIZE, SIZE), bool)
    surface[20:30, 20:30] = False
    noisy = light.copy()
    noisy[~surface] = 7.0
    restored = ShadowRestorer(SIZE).restore(noisy, light, surface)
    np.testing.assert_allclose(restored, light, atol=1e-6)
