"""A checksum within a safetensors file: in the metadata of its own header, so that the file stays one file.

Every safetensors reader opens a sealed file. The SHA-256 covers names, types, shapes and values of the tensors.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from storygan.files import parse_json

KEY = "sha256"
MAX_HEADER = 10_000_000
"""Bytes: a hundred thousand tensors. JSON takes up to thirty times as much memory as text."""


def seal(content: bytes) -> bytes:
    """The bytes of a safetensors file -> the same file with its checksum."""
    header, data = _parts(content)
    metadata = {**header.pop("__metadata__", {}), KEY: _checksum(header, data)}
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the values
    return len(text).to_bytes(8, "little") + text + data


def checked(content: bytes) -> bytes:
    """The bytes of a safetensors file as they are; one without a checksum passes.

    Raises:
        ValueError: its content is not what was sealed, or it is no safetensors file.
    """
    header, data = _parts(content)
    metadata = header.pop("__metadata__", {})
    if KEY in metadata and metadata[KEY] != _checksum(header, data):
        raise ValueError("its content does not fit its checksum: the file is damaged")
    return content


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and values."""
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= len(content):
        raise ValueError("the file is cut short, or no safetensors file")
    if start > MAX_HEADER:
        raise ValueError(f"its header has {start - 8:,} bytes: at most {MAX_HEADER:,} are read")
    header = parse_json(content[8:start])
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("the header is not that of a safetensors file")
    return header, content[start:]


def _checksum(header: dict[str, Any], data: bytes) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()
