"""The CLEVR-SV sentence encoder: unit variance per dimension, invertible, saved without pickle, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from storygan.errors import StoryganError, UsageError
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence
from storygan.text.clevr_encoder import N_FEATURES, ClevrEncoder, _features
from storygan.text.encoder import SETTINGS_FILE, TENSORS_FILE, load_sentence_encoder

SENTENCE = "large red rubber cube at (2.18, -2.85)"


def random_objects(n: int, seed: int = 0) -> list[ClevrObject]:
    rng = np.random.default_rng(seed)
    words = [rng.choice(options, n).tolist() for options in (SHAPES, COLOURS, MATERIALS, SIZES)]
    x, y = rng.uniform(-3, 3, (2, n)).tolist()
    return [ClevrObject(*row) for row in zip(*words, x, y, strict=True)]


def test_each_dimension_has_unit_variance_over_the_scene_distribution() -> None:
    vectors = ClevrEncoder().encode([format_sentence(thing) for thing in random_objects(20_000)])
    assert vectors.shape == (20_000, 128)
    assert vectors.dtype == np.float32
    assert np.abs(vectors.mean(0)).max() < 0.03
    assert 0.95 < vectors.var(0).min() <= vectors.var(0).max() < 1.05


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_variance_is_one_in_closed_form(seed: int) -> None:
    encoder = ClevrEncoder(seed)
    covariance = np.zeros((N_FEATURES, N_FEATURES))
    start = 0
    for k in (3, 8, 2, 2):  # standardised one-hots of k values correlate by -1/(k-1)
        covariance[start : start + k, start : start + k] = (np.eye(k) * k - 1) / (k - 1)
        start += k
    covariance[-2:, -2:] = np.eye(2)
    p = encoder.projection.astype(np.float64)
    np.testing.assert_allclose(np.diag(p.T @ covariance @ p), 1, atol=1e-5)
    np.testing.assert_allclose(p @ p.T, np.eye(N_FEATURES) * 128 / 17, atol=1e-5)


def test_the_features_can_be_recovered_from_the_vector() -> None:
    encoder = ClevrEncoder()
    things = random_objects(50)
    vectors = encoder.encode([format_sentence(thing) for thing in things])
    features = vectors @ encoder.projection.T * (17 / 128) * encoder.std + encoder.mean
    np.testing.assert_allclose(features, [_features(thing) for thing in things], atol=0.01 / 3)


def test_a_vector_does_not_depend_on_its_batch() -> None:
    encoder = ClevrEncoder()
    sentences = [format_sentence(thing) for thing in random_objects(33)]
    one_by_one = np.concatenate([encoder.encode([sentence]) for sentence in sentences])
    assert np.array_equal(encoder.encode(sentences), one_by_one)
    assert encoder.encode([]).shape == (0, 128)


def test_equal_meaning_gives_an_equal_vector_and_seeds_differ() -> None:
    a, b = ClevrEncoder().encode([SENTENCE, "A cube, red, LARGE, rubber, (2.18, -2.85)."])
    assert np.array_equal(a, b)
    assert not np.array_equal(a, ClevrEncoder(seed=1).encode([SENTENCE])[0])


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(UsageError, match="'pink'"):
        ClevrEncoder().encode([SENTENCE, "large pink rubber cube at (0, 0)"])


def test_save_and_load_give_the_same_vectors(tmp_path: Path) -> None:
    encoder = ClevrEncoder(seed=3)
    encoder.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {SETTINGS_FILE, TENSORS_FILE}
    loaded = load_sentence_encoder(tmp_path / "model")
    assert isinstance(loaded, ClevrEncoder)
    assert loaded.seed == 3
    assert np.array_equal(loaded.encode([SENTENCE]), encoder.encode([SENTENCE]))


def test_a_broken_or_missing_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match=r"holds no sentence_encoder\.json"):
        load_sentence_encoder(tmp_path)
    ClevrEncoder().save(tmp_path)
    (tmp_path / TENSORS_FILE).write_bytes(b"nonsense")
    with pytest.raises(StoryganError, match="cannot be read"):
        load_sentence_encoder(tmp_path)
    (tmp_path / TENSORS_FILE).unlink()
    with pytest.raises(StoryganError, match=r"holds no sentence_encoder\.safetensors"):
        load_sentence_encoder(tmp_path)


@pytest.mark.parametrize("settings", [{"kind": "morse"}, {"kind": "clevr"}, {}, [], "text"])
def test_wrong_settings_are_an_error(tmp_path: Path, settings: object) -> None:
    ClevrEncoder().save(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(settings))
    with pytest.raises(StoryganError, match="cannot be read"):
        load_sentence_encoder(tmp_path)


def test_text_needs_no_torch() -> None:
    code = "import sys, storygan.text.clevr_encoder; assert not any(m.split('.')[0] == 'torch' for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
