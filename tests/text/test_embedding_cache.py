"""Embeddings that are computed once: kept in a file, or in memory where that cannot be; never wrong ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from storygan.text import embedding_cache
from storygan.text.embedding_cache import EmbeddingCache, Memory

ONES, TWOS = np.ones(384, np.float16), np.full(384, 2, np.float16)
Errors = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embedding_cache, "MEMORY", Memory())
    return tmp_path / "storygan" / "embeddings.sqlite"


def put(**vectors: np.ndarray) -> None:
    cache = EmbeddingCache("one")
    cache.put(vectors)
    cache.close()


def get(*texts: str) -> dict[str, np.ndarray]:
    cache = EmbeddingCache("one")
    found = cache.get(texts)
    cache.close()
    return found


def test_two_encoders_do_not_share_a_key() -> None:
    put(cat=ONES)
    assert list(get("cat", "dog")) == ["cat"]
    assert not EmbeddingCache("two").get(["cat"])


def test_a_vector_that_does_not_fit_its_checksum_is_absent_until_it_is_put_again(file: Path) -> None:
    put(cat=ONES, dog=TWOS)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE vectors SET vector = ? WHERE vector = ?", (TWOS.tobytes(), ONES.tobytes()))
    database.close()
    assert list(get("cat", "dog")) == ["dog"]
    put(cat=ONES)
    assert np.array_equal(get("cat")["cat"], ONES)


def test_a_folder_that_cannot_be_written_to_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Errors
) -> None:
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "in the way"))
    put(cat=ONES)
    assert np.array_equal(get("cat")["cat"], ONES), "it lives as long as the process"
    (told,) = capsys.readouterr().err.splitlines()
    assert "embeddings.sqlite is not used: [Errno 20] Not a directory" in told


def test_a_damaged_file_is_told_once_and_left_alone(file: Path, capsys: Errors) -> None:
    file.parent.mkdir()
    file.write_bytes(content := b"this is no database, however long it may be" * 30)
    put(cat=ONES)
    assert np.array_equal(get("cat")["cat"], ONES)
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"{file} is not used: file is not a database; delete it. Embeddings are kept in memory"
    assert file.read_bytes() == content


def test_in_memory_are_the_newest(file: Path) -> None:
    embedding_cache.MEMORY.use(most=2)
    for text in ("cat", "dog", "fox"):
        put(**{text: ONES})
    assert list(get("cat", "dog", "fox")) == ["dog", "fox"]
    assert not file.exists()
