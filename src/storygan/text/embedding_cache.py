"""Embeddings by content, kept in one SQLite file in the user's cache folder: computed once, whatever run asks.

The file is $XDG_CACHE_HOME/storygan/embeddings.sqlite (~/.cache without that variable). A process that dies leaves what
it had committed. Each vector has a CRC-32: one that does not fit it is as good as absent. Where the file cannot be used
(a full disk, a folder that is read-only, a lock that stays, damage), this is told once, and the process goes on with a
cache in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from zlib import crc32

import numpy as np

from storygan.files import user_cache

PATIENCE = 60.0
"""Seconds that another process may hold the file."""
TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, crc INTEGER) WITHOUT ROWID"


class Memory:
    """What a process keeps in place of the file, from `use` on."""

    def __init__(self) -> None:
        self.used = False
        self._most: int | None = None
        self._vectors: dict[bytes, np.ndarray] = {}
        self._lock = Lock()

    def use(self, most: int | None = None) -> None:
        """Keep nothing in the file from now on, and in memory the newest `most` vectors (None: all)."""
        self.used, self._most = True, most

    def get(self, key: bytes) -> np.ndarray | None:
        return self._vectors.get(key)

    def put(self, vectors: Mapping[bytes, np.ndarray]) -> None:
        with self._lock:
            self._vectors |= vectors
            while self._most is not None and len(self._vectors) > self._most:
                del self._vectors[next(iter(self._vectors))]

    def __len__(self) -> int:
        return len(self._vectors)


MEMORY = Memory()


class EmbeddingCache:
    """float16 vectors of one encoder, named by `identity`, by text."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.path = user_cache() / "embeddings.sqlite"
        self._database: sqlite3.Connection | None = None
        if not MEMORY.used:
            with self._disk():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(self.path, timeout=PATIENCE)
                with self._database:
                    self._database.execute(TABLE)

    def close(self) -> None:
        if self._database:
            self._database.close()
            self._database = None

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Those of the texts that are there, with their vectors."""
        found = {}
        with self._disk():
            for text in texts:
                vector = self._read(self._key(text)) if self._database else MEMORY.get(self._key(text))
                if vector is not None:
                    found[text] = vector
        return found

    def put(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Keep float16 vectors; all of them or, where the process dies, none."""
        by_key = {self._key(text): vector for text, vector in vectors.items()}
        if self._database:
            rows = [(key, vector.tobytes(), _checksum(key, vector.tobytes())) for key, vector in by_key.items()]
            with self._disk(), self._database:
                self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        if MEMORY.used:
            MEMORY.put(by_key)

    def _read(self, key: bytes) -> np.ndarray | None:
        assert self._database
        row = self._database.execute("SELECT vector, crc FROM vectors WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or _checksum(key, row[0]) != row[1]:
            return None
        return np.frombuffer(row[0], np.float16)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What is done with the file; where it fails, the rest of the process does without."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(sqlite3.Error):
                self.close()
            self._database = None
            MEMORY.use()
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            remedy = "; delete it" if damaged else ""
            print(f"{self.path} is not used: {error}{remedy}. Embeddings are kept in memory", file=sys.stderr)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.identity}\0{text}".encode()).digest()


def _checksum(key: bytes, vector: bytes) -> int:
    return crc32(vector, crc32(key))
