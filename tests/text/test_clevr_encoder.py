"""The CLEVR-SV encoder: standardised features, nothing lost, saved without pickle, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from storygan.errors import StoryganError, UsageError
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence
from storygan.text.clevr_encoder import ClevrEncoder, _position_code
from storygan.text.encoder import SETTINGS_FILE, TENSORS_FILE, load_sentence_encoder

SENTENCE = "large red rubber cube at (2.18, -2.85)"


def random_objects(n: int, seed: int = 0) -> list[ClevrObject]:
    rng = np.random.default_rng(seed)
    words = [rng.choice(options, n).tolist() for options in (SHAPES, COLOURS, MATERIALS, SIZES)]
    x, y = rng.uniform(-3, 3, (2, n)).tolist()
    return [ClevrObject(*row) for row in zip(*words, x, y, strict=True)]


def test_features_are_standardised_over_the_scene_distribution() -> None:
    vectors = ClevrEncoder().encode([format_sentence(thing) for thing in random_objects(20_000)])
    assert vectors.shape == (20_000, 128)
    assert vectors.dtype == np.float32
    assert np.abs(vectors.mean(0)).max() < 0.06
    np.testing.assert_allclose(vectors.std(0), [*[2.0] * 17, *[1.0] * 110, 0.0], rtol=0.08)


def test_the_attributes_can_be_read_back_from_the_vector() -> None:
    encoder = ClevrEncoder()
    things = random_objects(50)
    vectors = encoder.encode([format_sentence(thing) for thing in things])
    features = vectors[:, :17] / 2 * encoder.std[:17] + encoder.mean[:17]
    attributes = [(thing.shape, thing.colour, thing.material, thing.size) for thing in things]
    options = (SHAPES, COLOURS, MATERIALS, SIZES)
    for k, start in enumerate((0, 3, 11, 13)):
        read = [options[k][best] for best in features[:, start : start + len(options[k])].argmax(1)]
        assert read == [row[k] for row in attributes]
    np.testing.assert_allclose(features[:, 15:], [(thing.x / 3, thing.y / 3) for thing in things], atol=0.005)


def test_the_position_code_is_largest_at_the_nearest_bump() -> None:
    """The grid has x along its rows; bumps are 6/7 apart on the grid, 6/22 on an axis."""
    x, y = np.array([-1.0, 3 / 7, 1.0]), np.array([1.0, -1 / 7, -1.0])
    code = _position_code(x, y)
    assert code.shape == (3, 64 + 2 * 23)
    assert code[:, :64].argmax(1).tolist() == [7, 5 * 8 + 3, 7 * 8]
    np.testing.assert_allclose(code[:, :64].max(1), 1)
    assert code[:, 64:87].argmax(1).tolist() == [0, 16, 22]
    assert code[:, 87:].argmax(1).tolist() == [22, 9, 0]
    np.testing.assert_allclose(code[0, 64:66], [1, np.exp(-0.5)])


def test_an_encoder_of_the_first_version_gives_its_own_vectors(tmp_path: Path) -> None:
    """It has 17 features and a dense projection, as the shipped clevr-sv of 0.1."""
    encoder = ClevrEncoder()
    encoder.mean, encoder.std = encoder.mean[:17], encoder.std[:17]
    encoder.projection = np.random.default_rng(0).normal(size=(17, 128)).astype(np.float32)
    encoder.save(tmp_path)
    found = load_sentence_encoder(tmp_path).encode([SENTENCE])[0]
    one_hots = np.zeros(17)
    one_hots[[0, 3 + COLOURS.index("red"), 11 + MATERIALS.index("rubber"), 13 + SIZES.index("large")]] = 1
    one_hots[15:] = 2.18 / 3, -2.85 / 3
    expected = (one_hots - encoder.mean) / encoder.std @ encoder.projection
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_vector_does_not_depend_on_its_batch() -> None:
    encoder = ClevrEncoder()
    sentences = [format_sentence(thing) for thing in random_objects(33)]
    one_by_one = np.concatenate([encoder.encode([sentence]) for sentence in sentences])
    assert np.array_equal(encoder.encode(sentences), one_by_one)
    assert encoder.encode([]).shape == (0, 128)


def test_equal_meaning_gives_an_equal_vector() -> None:
    a, b = ClevrEncoder().encode([SENTENCE, "A cube, red, LARGE, rubber, (2.18, -2.85)."])
    assert np.array_equal(a, b)


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(UsageError, match="'pink'"):
        ClevrEncoder().encode([SENTENCE, "large pink rubber cube at (0, 0)"])


def test_save_and_load_give_the_same_vectors(tmp_path: Path) -> None:
    encoder = ClevrEncoder()
    encoder.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {SETTINGS_FILE, TENSORS_FILE}
    loaded = load_sentence_encoder(tmp_path / "model")
    assert isinstance(loaded, ClevrEncoder)
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


@pytest.mark.parametrize("settings", [{"kind": "morse"}, {}, [], "text"])
def test_wrong_settings_are_one_clear_line(tmp_path: Path, settings: object) -> None:
    ClevrEncoder().save(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(settings))
    with pytest.raises(StoryganError, match="cannot be read"):
        load_sentence_encoder(tmp_path)


def test_text_needs_no_torch() -> None:
    code = "import sys, storygan.text.clevr_encoder; assert not any(m.split('.')[0] == 'torch' for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
