"""What needs no Blender: the shadows that come back (denoiser.py imports NumPy alone)."""

from __future__ import annotations

import numpy as np
import pytest

from storygan.data.clevr.denoiser import ShadowKeeper

SIZE = 64


@pytest.fixture
def light() -> np.ndarray:
    """A surface with a soft shadow in its middle: (SIZE, SIZE, 3) linear light."""
    x = np.linspace(-1, 1, SIZE)
    shadow = np.exp(-8 * (x**2 + x[:, None] ** 2))
    return np.repeat((0.5 - 0.2 * shadow)[..., None], 3, -1).astype(np.float32)


def test_a_lost_shadow_comes_back_and_the_grain_does_not(light: np.ndarray) -> None:
    noisy = light + np.random.default_rng(0).normal(0, 0.1, light.shape).astype(np.float32)
    flat = np.full_like(light, light.mean())
    restored = ShadowKeeper(SIZE, 3 / SIZE).restore(noisy, flat, np.ones((SIZE, SIZE), bool))
    assert np.abs(noisy - light).mean() > 0.07
    assert np.abs(flat - light).mean() > 0.02
    assert np.abs(restored - light).mean() < 0.012


def test_what_is_not_the_surface_neither_changes_nor_counts(light: np.ndarray) -> None:
    surface = np.ones((SIZE, SIZE), bool)
    surface[20:30, 20:30] = False
    noisy = light.copy()
    noisy[~surface] = 7.0
    restored = ShadowKeeper(SIZE).restore(noisy, light, surface)
    np.testing.assert_allclose(restored, light, atol=1e-6)
