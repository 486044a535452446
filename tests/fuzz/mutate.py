"""Sound contents made hostile: bytes changed anywhere, and values that nobody expects put in the place of others."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

NUMBERS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\x00" * 8, b"-1", b"9" * 30)


def mutated(content: bytes, rng: random.Random, most: int = 4) -> bytes:
    """The content with one to `most` changes: bits flipped, bytes put in, taken out, doubled, or its end cut off."""
    for _ in range(rng.randint(1, most)):
        n = rng.randrange(len(content) + 1)
        k = n + rng.choice((1, 2, 4, 8, 64))
        kind = rng.randrange(6)
        if kind == 0 and content:
            n = min(n, len(content) - 1)
            content = content[:n] + bytes([content[n] ^ 1 << rng.randrange(8)]) + content[n + 1 :]
        elif kind == 1:
            content = content[:n] + rng.choice(NUMBERS) + content[n:]
        elif kind == 2:
            new = rng.choice(NUMBERS)
            content = content[:n] + new + content[n + len(new) :]
        elif kind == 3:
            content = content[:n] + content[k:]
        elif kind == 4:
            content = content[:k] + content[n:]
        else:
            content = content[:n]
    return content


def nested(depth: int) -> list[Any]:
    """[[[...]]]"""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    0.5,
    10**6,
    10**12,
    2**63,
    10**300,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\x00",
    "a\nb\x1b[31m\u202e\ud800",
    "../../../../etc/passwd",
    "/dev/zero",
    "1" * 5000,
    "x" * 100_000,
    [],
    {},
    [[]],
    ["x"],
    {"x": 1},
    nested(50),
)
"""Values for every place. Those that JSON, YAML or a pickle cannot hold are left out by who writes them."""


def grafted(value: Any, strangers: tuple[Any, ...] = HOSTILE) -> Iterator[Any]:
    """The value with one part of it, at any depth, exchanged, taken out or (a name) renamed."""
    yield from strangers
    if isinstance(value, dict):
        for name in value:
            rest = {other: part for other, part in value.items() if other != name}
            yield rest
            for stranger in ("", "x\ny", "../x"):
                yield {stranger: value[name], **rest}
            for part in grafted(value[name], strangers):
                yield {**copy.copy(value), name: part}
    elif isinstance(value, list | tuple):
        for n in range(min(len(value), 2)):
            yield [*value[:n], *value[n + 1 :]]
            for part in grafted(value[n], strangers):
                yield [*value[:n], part, *value[n + 1 :]]
