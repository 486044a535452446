"""Embeddings by content, kept in one SQLite file in the user's cache folder: computed once, whatever run asks.

The file is $XDG_CACHE_HOME/storygan/embeddings.sqlite (~/.cache without that variable). A process that dies leaves what
it had committed. Where the folder cannot be written to, the cache lives as long as the process.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from storygan.types import StoryganError


class EmbeddingCache:
    """float16 vectors of one encoder, named by `identity`, by text."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "storygan" / "embeddings.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connect(str(self.path))
        except (OSError, sqlite3.OperationalError):
            self._connect(":memory:")
        except sqlite3.DatabaseError as error:
            raise StoryganError(f"the cache {self.path} is damaged ({error}): delete it") from error

    def _connect(self, name: str) -> None:
        self._database = sqlite3.connect(name, timeout=60)
        with self._database:
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            )

    def close(self) -> None:
        self._database.close()

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Those of the texts that are there, with their vectors."""
        found = {}
        for text in texts:
            row = self._database.execute("SELECT vector FROM embeddings WHERE key = ?", (self._key(text),)).fetchone()
            if row is not None:
                found[text] = np.frombuffer(row[0], np.float16)
        return found

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep float16 vectors; all of them or, where the process dies, none."""
        rows = [(self._key(text), vector.tobytes()) for text, vector in vectors.items()]
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.identity}\0{text}".encode()).digest()
